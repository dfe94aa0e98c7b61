package dataset

// Attributes that Rayhound reads or writes, by their keywords in PS3.6. All other
// standard attributes are reached by TagByKeyword.
const (
	FileMetaInformationGroupLength                          Tag = 0x00020000
	FileMetaInformationVersion                              Tag = 0x00020001
	MediaStorageSOPClassUID                                 Tag = 0x00020002
	MediaStorageSOPInstanceUID                              Tag = 0x00020003
	TransferSyntaxUID                                       Tag = 0x00020010
	ImplementationClassUID                                  Tag = 0x00020012
	ImplementationVersionName                               Tag = 0x00020013
	SourceApplicationEntityTitle                            Tag = 0x00020016
	SpecificCharacterSet                                    Tag = 0x00080005
	ImageType                                               Tag = 0x00080008
	InstanceCreationDate                                    Tag = 0x00080012
	InstanceCreationTime                                    Tag = 0x00080013
	InstanceCreatorUID                                      Tag = 0x00080014
	SOPClassUID                                             Tag = 0x00080016
	SOPInstanceUID                                          Tag = 0x00080018
	StudyDate                                               Tag = 0x00080020
	SeriesDate                                              Tag = 0x00080021
	AcquisitionDate                                         Tag = 0x00080022
	ContentDate                                             Tag = 0x00080023
	AcquisitionDateTime                                     Tag = 0x0008002A
	StudyTime                                               Tag = 0x00080030
	SeriesTime                                              Tag = 0x00080031
	AcquisitionTime                                         Tag = 0x00080032
	ContentTime                                             Tag = 0x00080033
	AccessionNumber                                         Tag = 0x00080050
	IssuerOfAccessionNumberSequence                         Tag = 0x00080051
	QueryRetrieveLevel                                      Tag = 0x00080052
	RetrieveAETitle                                         Tag = 0x00080054
	InstanceAvailability                                    Tag = 0x00080056
	FailedSOPInstanceUIDList                                Tag = 0x00080058
	Modality                                                Tag = 0x00080060
	ModalitiesInStudy                                       Tag = 0x00080061
	SOPClassesInStudy                                       Tag = 0x00080062
	ConversionType                                          Tag = 0x00080064
	PresentationIntentType                                  Tag = 0x00080068
	Manufacturer                                            Tag = 0x00080070
	InstitutionName                                         Tag = 0x00080080
	InstitutionAddress                                      Tag = 0x00080081
	ReferringPhysicianName                                  Tag = 0x00080090
	CodeValue                                               Tag = 0x00080100
	CodingSchemeDesignator                                  Tag = 0x00080102
	CodingSchemeVersion                                     Tag = 0x00080103
	CodeMeaning                                             Tag = 0x00080104
	LongCodeValue                                           Tag = 0x00080119
	URNCodeValue                                            Tag = 0x00080120
	TimezoneOffsetFromUTC                                   Tag = 0x00080201
	StationName                                             Tag = 0x00081010
	StudyDescription                                        Tag = 0x00081030
	ProcedureCodeSequence                                   Tag = 0x00081032
	SeriesDescription                                       Tag = 0x0008103E
	InstitutionalDepartmentName                             Tag = 0x00081040
	PhysiciansOfRecord                                      Tag = 0x00081048
	PerformingPhysicianName                                 Tag = 0x00081050
	NameOfPhysiciansReadingStudy                            Tag = 0x00081060
	OperatorsName                                           Tag = 0x00081070
	AdmittingDiagnosesDescription                           Tag = 0x00081080
	ManufacturerModelName                                   Tag = 0x00081090
	ReferencedStudySequence                                 Tag = 0x00081110
	ReferencedPerformedProcedureStepSequence                Tag = 0x00081111
	ReferencedSeriesSequence                                Tag = 0x00081115
	ReferencedPatientSequence                               Tag = 0x00081120
	ReferencedImageSequence                                 Tag = 0x00081140
	ReferencedSOPClassUID                                   Tag = 0x00081150
	ReferencedSOPInstanceUID                                Tag = 0x00081155
	TransactionUID                                          Tag = 0x00081195
	FailureReason                                           Tag = 0x00081197
	FailedSOPSequence                                       Tag = 0x00081198
	ReferencedSOPSequence                                   Tag = 0x00081199
	DerivationDescription                                   Tag = 0x00082111
	AnatomicRegionSequence                                  Tag = 0x00082218
	PatientName                                             Tag = 0x00100010
	PatientID                                               Tag = 0x00100020
	IssuerOfPatientID                                       Tag = 0x00100021
	TypeOfPatientID                                         Tag = 0x00100022
	PatientBirthDate                                        Tag = 0x00100030
	PatientBirthTime                                        Tag = 0x00100032
	PatientSex                                              Tag = 0x00100040
	OtherPatientIDs                                         Tag = 0x00101000
	OtherPatientIDsSequence                                 Tag = 0x00101002
	PatientAge                                              Tag = 0x00101010
	PatientSize                                             Tag = 0x00101020
	PatientWeight                                           Tag = 0x00101030
	PatientAddress                                          Tag = 0x00101040
	MedicalAlerts                                           Tag = 0x00102000
	Allergies                                               Tag = 0x00102110
	PatientTelephoneNumbers                                 Tag = 0x00102154
	EthnicGroup                                             Tag = 0x00102160
	AdditionalPatientHistory                                Tag = 0x001021B0
	PregnancyStatus                                         Tag = 0x001021C0
	LastMenstrualDate                                       Tag = 0x001021D0
	PatientSpeciesDescription                               Tag = 0x00102201
	PatientSpeciesCodeSequence                              Tag = 0x00102202
	PatientSexNeutered                                      Tag = 0x00102203
	AnatomicalOrientationType                               Tag = 0x00102210
	PatientBreedDescription                                 Tag = 0x00102292
	PatientBreedCodeSequence                                Tag = 0x00102293
	BreedRegistrationSequence                               Tag = 0x00102294
	BreedRegistrationNumber                                 Tag = 0x00102295
	BreedRegistryCodeSequence                               Tag = 0x00102296
	ResponsiblePerson                                       Tag = 0x00102297
	ResponsiblePersonRole                                   Tag = 0x00102298
	ResponsibleOrganization                                 Tag = 0x00102299
	PatientComments                                         Tag = 0x00104000
	ContrastBolusAgent                                      Tag = 0x00180010
	BodyPartExamined                                        Tag = 0x00180015
	KVP                                                     Tag = 0x00180060
	DeviceSerialNumber                                      Tag = 0x00181000
	SoftwareVersions                                        Tag = 0x00181020
	ProtocolName                                            Tag = 0x00181030
	ViewPosition                                            Tag = 0x00185101
	DetectorType                                            Tag = 0x00187004
	StudyInstanceUID                                        Tag = 0x0020000D
	SeriesInstanceUID                                       Tag = 0x0020000E
	StudyID                                                 Tag = 0x00200010
	SeriesNumber                                            Tag = 0x00200011
	AcquisitionNumber                                       Tag = 0x00200012
	InstanceNumber                                          Tag = 0x00200013
	PatientOrientation                                      Tag = 0x00200020
	Laterality                                              Tag = 0x00200060
	ImageLaterality                                         Tag = 0x00200062
	ImagesInAcquisition                                     Tag = 0x00201002
	NumberOfPatientRelatedStudies                           Tag = 0x00201200
	NumberOfStudyRelatedSeries                              Tag = 0x00201206
	NumberOfStudyRelatedInstances                           Tag = 0x00201208
	NumberOfSeriesRelatedInstances                          Tag = 0x00201209
	SamplesPerPixel                                         Tag = 0x00280002
	PhotometricInterpretation                               Tag = 0x00280004
	NumberOfFrames                                          Tag = 0x00280008
	Rows                                                    Tag = 0x00280010
	Columns                                                 Tag = 0x00280011
	PixelSpacing                                            Tag = 0x00280030
	BitsAllocated                                           Tag = 0x00280100
	BitsStored                                              Tag = 0x00280101
	HighBit                                                 Tag = 0x00280102
	PixelRepresentation                                     Tag = 0x00280103
	BurnedInAnnotation                                      Tag = 0x00280301
	PixelIntensityRelationship                              Tag = 0x00281040
	PixelIntensityRelationshipSign                          Tag = 0x00281041
	WindowCenter                                            Tag = 0x00281050
	WindowWidth                                             Tag = 0x00281051
	RescaleIntercept                                        Tag = 0x00281052
	RescaleSlope                                            Tag = 0x00281053
	RescaleType                                             Tag = 0x00281054
	LossyImageCompression                                   Tag = 0x00282110
	StudyStatusID                                           Tag = 0x0032000A
	RequestingPhysician                                     Tag = 0x00321032
	RequestingService                                       Tag = 0x00321033
	RequestedProcedureDescription                           Tag = 0x00321060
	RequestedProcedureCodeSequence                          Tag = 0x00321064
	RequestedContrastAgent                                  Tag = 0x00321070
	AdmissionID                                             Tag = 0x00380010
	IssuerOfAdmissionIDSequence                             Tag = 0x00380014
	AdmittingDate                                           Tag = 0x00380020
	SpecialNeeds                                            Tag = 0x00380050
	ServiceEpisodeID                                        Tag = 0x00380060
	CurrentPatientLocation                                  Tag = 0x00380300
	PatientState                                            Tag = 0x00380500
	ScheduledStationAETitle                                 Tag = 0x00400001
	ScheduledProcedureStepStartDate                         Tag = 0x00400002
	ScheduledProcedureStepStartTime                         Tag = 0x00400003
	ScheduledProcedureStepEndDate                           Tag = 0x00400004
	ScheduledProcedureStepEndTime                           Tag = 0x00400005
	ScheduledPerformingPhysicianName                        Tag = 0x00400006
	ScheduledProcedureStepDescription                       Tag = 0x00400007
	ScheduledProtocolCodeSequence                           Tag = 0x00400008
	ScheduledProcedureStepID                                Tag = 0x00400009
	ScheduledStationName                                    Tag = 0x00400010
	ScheduledProcedureStepLocation                          Tag = 0x00400011
	PreMedication                                           Tag = 0x00400012
	ScheduledProcedureStepStatus                            Tag = 0x00400020
	OrderPlacerIdentifierSequence                           Tag = 0x00400026
	OrderFillerIdentifierSequence                           Tag = 0x00400027
	LocalNamespaceEntityID                                  Tag = 0x00400031
	UniversalEntityID                                       Tag = 0x00400032
	UniversalEntityIDType                                   Tag = 0x00400033
	ScheduledProcedureStepSequence                          Tag = 0x00400100
	ReferencedNonImageCompositeSOPInstanceSequence          Tag = 0x00400220
	PerformedStationAETitle                                 Tag = 0x00400241
	PerformedStationName                                    Tag = 0x00400242
	PerformedLocation                                       Tag = 0x00400243
	PerformedProcedureStepStartDate                         Tag = 0x00400244
	PerformedProcedureStepStartTime                         Tag = 0x00400245
	PerformedProcedureStepEndDate                           Tag = 0x00400250
	PerformedProcedureStepEndTime                           Tag = 0x00400251
	PerformedProcedureStepStatus                            Tag = 0x00400252
	PerformedProcedureStepID                                Tag = 0x00400253
	PerformedProcedureStepDescription                       Tag = 0x00400254
	PerformedProcedureTypeDescription                       Tag = 0x00400255
	PerformedProtocolCodeSequence                           Tag = 0x00400260
	ScheduledStepAttributesSequence                         Tag = 0x00400270
	RequestAttributesSequence                               Tag = 0x00400275
	CommentsOnThePerformedProcedureStep                     Tag = 0x00400280
	PerformedProcedureStepDiscontinuationReasonCodeSequence Tag = 0x00400281
	TotalNumberOfExposures                                  Tag = 0x00400301
	ExposureDoseSequence                                    Tag = 0x0040030E
	PerformedSeriesSequence                                 Tag = 0x00400340
	CommentsOnTheScheduledProcedureStep                     Tag = 0x00400400
	RequestedProcedureID                                    Tag = 0x00401001
	ReasonForTheRequestedProcedure                          Tag = 0x00401002
	RequestedProcedurePriority                              Tag = 0x00401003
	PatientTransportArrangements                            Tag = 0x00401004
	RequestedProcedureLocation                              Tag = 0x00401005
	ReasonForRequestedProcedureCodeSequence                 Tag = 0x0040100A
	NamesOfIntendedRecipientsOfResults                      Tag = 0x00401010
	RequestedProcedureComments                              Tag = 0x00401400
	ReasonForTheImagingServiceRequest                       Tag = 0x00402001
	IssueDateOfImagingServiceRequest                        Tag = 0x00402004
	IssueTimeOfImagingServiceRequest                        Tag = 0x00402005
	OrderEnteredBy                                          Tag = 0x00402008
	OrderEntererLocation                                    Tag = 0x00402009
	OrderCallbackPhoneNumber                                Tag = 0x00402010
	PlacerOrderNumberImagingServiceRequest                  Tag = 0x00402016
	FillerOrderNumberImagingServiceRequest                  Tag = 0x00402017
	ImagingServiceRequestComments                           Tag = 0x00402400
	ConfidentialityConstraintOnPatientDataDescription       Tag = 0x00403001
	PresentationLUTShape                                    Tag = 0x20500020
	PixelData                                               Tag = 0x7FE00010
	DataSetTrailingPadding                                  Tag = 0xFFFCFFFC
)

// named lists the constants above with the value representation of PS3.6, for
// look-ups that must not cost more than a small map. A test compares every
// line with the library's dictionary.
var named = [...]entry{
	{FileMetaInformationGroupLength, UL, "FileMetaInformationGroupLength"},
	{FileMetaInformationVersion, OB, "FileMetaInformationVersion"},
	{MediaStorageSOPClassUID, UI, "MediaStorageSOPClassUID"},
	{MediaStorageSOPInstanceUID, UI, "MediaStorageSOPInstanceUID"},
	{TransferSyntaxUID, UI, "TransferSyntaxUID"},
	{ImplementationClassUID, UI, "ImplementationClassUID"},
	{ImplementationVersionName, SH, "ImplementationVersionName"},
	{SourceApplicationEntityTitle, AE, "SourceApplicationEntityTitle"},
	{SpecificCharacterSet, CS, "SpecificCharacterSet"},
	{ImageType, CS, "ImageType"},
	{InstanceCreationDate, DA, "InstanceCreationDate"},
	{InstanceCreationTime, TM, "InstanceCreationTime"},
	{InstanceCreatorUID, UI, "InstanceCreatorUID"},
	{SOPClassUID, UI, "SOPClassUID"},
	{SOPInstanceUID, UI, "SOPInstanceUID"},
	{StudyDate, DA, "StudyDate"},
	{SeriesDate, DA, "SeriesDate"},
	{AcquisitionDate, DA, "AcquisitionDate"},
	{ContentDate, DA, "ContentDate"},
	{AcquisitionDateTime, DT, "AcquisitionDateTime"},
	{StudyTime, TM, "StudyTime"},
	{SeriesTime, TM, "SeriesTime"},
	{AcquisitionTime, TM, "AcquisitionTime"},
	{ContentTime, TM, "ContentTime"},
	{AccessionNumber, SH, "AccessionNumber"},
	{IssuerOfAccessionNumberSequence, SQ, "IssuerOfAccessionNumberSequence"},
	{QueryRetrieveLevel, CS, "QueryRetrieveLevel"},
	{RetrieveAETitle, AE, "RetrieveAETitle"},
	{InstanceAvailability, CS, "InstanceAvailability"},
	{FailedSOPInstanceUIDList, UI, "FailedSOPInstanceUIDList"},
	{Modality, CS, "Modality"},
	{ModalitiesInStudy, CS, "ModalitiesInStudy"},
	{SOPClassesInStudy, UI, "SOPClassesInStudy"},
	{ConversionType, CS, "ConversionType"},
	{PresentationIntentType, CS, "PresentationIntentType"},
	{Manufacturer, LO, "Manufacturer"},
	{InstitutionName, LO, "InstitutionName"},
	{InstitutionAddress, ST, "InstitutionAddress"},
	{ReferringPhysicianName, PN, "ReferringPhysicianName"},
	{CodeValue, SH, "CodeValue"},
	{CodingSchemeDesignator, SH, "CodingSchemeDesignator"},
	{CodingSchemeVersion, SH, "CodingSchemeVersion"},
	{CodeMeaning, LO, "CodeMeaning"},
	{LongCodeValue, UC, "LongCodeValue"},
	{URNCodeValue, UR, "URNCodeValue"},
	{TimezoneOffsetFromUTC, SH, "TimezoneOffsetFromUTC"},
	{StationName, SH, "StationName"},
	{StudyDescription, LO, "StudyDescription"},
	{ProcedureCodeSequence, SQ, "ProcedureCodeSequence"},
	{SeriesDescription, LO, "SeriesDescription"},
	{InstitutionalDepartmentName, LO, "InstitutionalDepartmentName"},
	{PhysiciansOfRecord, PN, "PhysiciansOfRecord"},
	{PerformingPhysicianName, PN, "PerformingPhysicianName"},
	{NameOfPhysiciansReadingStudy, PN, "NameOfPhysiciansReadingStudy"},
	{OperatorsName, PN, "OperatorsName"},
	{AdmittingDiagnosesDescription, LO, "AdmittingDiagnosesDescription"},
	{ManufacturerModelName, LO, "ManufacturerModelName"},
	{ReferencedStudySequence, SQ, "ReferencedStudySequence"},
	{ReferencedPerformedProcedureStepSequence, SQ, "ReferencedPerformedProcedureStepSequence"},
	{ReferencedSeriesSequence, SQ, "ReferencedSeriesSequence"},
	{ReferencedPatientSequence, SQ, "ReferencedPatientSequence"},
	{ReferencedImageSequence, SQ, "ReferencedImageSequence"},
	{ReferencedSOPClassUID, UI, "ReferencedSOPClassUID"},
	{ReferencedSOPInstanceUID, UI, "ReferencedSOPInstanceUID"},
	{TransactionUID, UI, "TransactionUID"},
	{FailureReason, US, "FailureReason"},
	{FailedSOPSequence, SQ, "FailedSOPSequence"},
	{ReferencedSOPSequence, SQ, "ReferencedSOPSequence"},
	{DerivationDescription, ST, "DerivationDescription"},
	{AnatomicRegionSequence, SQ, "AnatomicRegionSequence"},
	{PatientName, PN, "PatientName"},
	{PatientID, LO, "PatientID"},
	{IssuerOfPatientID, LO, "IssuerOfPatientID"},
	{TypeOfPatientID, CS, "TypeOfPatientID"},
	{PatientBirthDate, DA, "PatientBirthDate"},
	{PatientBirthTime, TM, "PatientBirthTime"},
	{PatientSex, CS, "PatientSex"},
	{OtherPatientIDs, LO, "OtherPatientIDs"},
	{OtherPatientIDsSequence, SQ, "OtherPatientIDsSequence"},
	{PatientAge, AS, "PatientAge"},
	{PatientSize, DS, "PatientSize"},
	{PatientWeight, DS, "PatientWeight"},
	{PatientAddress, LO, "PatientAddress"},
	{MedicalAlerts, LO, "MedicalAlerts"},
	{Allergies, LO, "Allergies"},
	{PatientTelephoneNumbers, SH, "PatientTelephoneNumbers"},
	{EthnicGroup, SH, "EthnicGroup"},
	{AdditionalPatientHistory, LT, "AdditionalPatientHistory"},
	{PregnancyStatus, US, "PregnancyStatus"},
	{LastMenstrualDate, DA, "LastMenstrualDate"},
	{PatientSpeciesDescription, LO, "PatientSpeciesDescription"},
	{PatientSpeciesCodeSequence, SQ, "PatientSpeciesCodeSequence"},
	{PatientSexNeutered, CS, "PatientSexNeutered"},
	{AnatomicalOrientationType, CS, "AnatomicalOrientationType"},
	{PatientBreedDescription, LO, "PatientBreedDescription"},
	{PatientBreedCodeSequence, SQ, "PatientBreedCodeSequence"},
	{BreedRegistrationSequence, SQ, "BreedRegistrationSequence"},
	{BreedRegistrationNumber, LO, "BreedRegistrationNumber"},
	{BreedRegistryCodeSequence, SQ, "BreedRegistryCodeSequence"},
	{ResponsiblePerson, PN, "ResponsiblePerson"},
	{ResponsiblePersonRole, CS, "ResponsiblePersonRole"},
	{ResponsibleOrganization, LO, "ResponsibleOrganization"},
	{PatientComments, LT, "PatientComments"},
	{ContrastBolusAgent, LO, "ContrastBolusAgent"},
	{BodyPartExamined, CS, "BodyPartExamined"},
	{KVP, DS, "KVP"},
	{DeviceSerialNumber, LO, "DeviceSerialNumber"},
	{SoftwareVersions, LO, "SoftwareVersions"},
	{ProtocolName, LO, "ProtocolName"},
	{ViewPosition, CS, "ViewPosition"},
	{DetectorType, CS, "DetectorType"},
	{StudyInstanceUID, UI, "StudyInstanceUID"},
	{SeriesInstanceUID, UI, "SeriesInstanceUID"},
	{StudyID, SH, "StudyID"},
	{SeriesNumber, IS, "SeriesNumber"},
	{AcquisitionNumber, IS, "AcquisitionNumber"},
	{InstanceNumber, IS, "InstanceNumber"},
	{PatientOrientation, CS, "PatientOrientation"},
	{Laterality, CS, "Laterality"},
	{ImageLaterality, CS, "ImageLaterality"},
	{ImagesInAcquisition, IS, "ImagesInAcquisition"},
	{NumberOfPatientRelatedStudies, IS, "NumberOfPatientRelatedStudies"},
	{NumberOfStudyRelatedSeries, IS, "NumberOfStudyRelatedSeries"},
	{NumberOfStudyRelatedInstances, IS, "NumberOfStudyRelatedInstances"},
	{NumberOfSeriesRelatedInstances, IS, "NumberOfSeriesRelatedInstances"},
	{SamplesPerPixel, US, "SamplesPerPixel"},
	{PhotometricInterpretation, CS, "PhotometricInterpretation"},
	{NumberOfFrames, IS, "NumberOfFrames"},
	{Rows, US, "Rows"},
	{Columns, US, "Columns"},
	{PixelSpacing, DS, "PixelSpacing"},
	{BitsAllocated, US, "BitsAllocated"},
	{BitsStored, US, "BitsStored"},
	{HighBit, US, "HighBit"},
	{PixelRepresentation, US, "PixelRepresentation"},
	{BurnedInAnnotation, CS, "BurnedInAnnotation"},
	{PixelIntensityRelationship, CS, "PixelIntensityRelationship"},
	{PixelIntensityRelationshipSign, SS, "PixelIntensityRelationshipSign"},
	{WindowCenter, DS, "WindowCenter"},
	{WindowWidth, DS, "WindowWidth"},
	{RescaleIntercept, DS, "RescaleIntercept"},
	{RescaleSlope, DS, "RescaleSlope"},
	{RescaleType, LO, "RescaleType"},
	{LossyImageCompression, CS, "LossyImageCompression"},
	{StudyStatusID, CS, "StudyStatusID"},
	{RequestingPhysician, PN, "RequestingPhysician"},
	{RequestingService, LO, "RequestingService"},
	{RequestedProcedureDescription, LO, "RequestedProcedureDescription"},
	{RequestedProcedureCodeSequence, SQ, "RequestedProcedureCodeSequence"},
	{RequestedContrastAgent, LO, "RequestedContrastAgent"},
	{AdmissionID, LO, "AdmissionID"},
	{IssuerOfAdmissionIDSequence, SQ, "IssuerOfAdmissionIDSequence"},
	{AdmittingDate, DA, "AdmittingDate"},
	{SpecialNeeds, LO, "SpecialNeeds"},
	{ServiceEpisodeID, LO, "ServiceEpisodeID"},
	{CurrentPatientLocation, LO, "CurrentPatientLocation"},
	{PatientState, LO, "PatientState"},
	{ScheduledStationAETitle, AE, "ScheduledStationAETitle"},
	{ScheduledProcedureStepStartDate, DA, "ScheduledProcedureStepStartDate"},
	{ScheduledProcedureStepStartTime, TM, "ScheduledProcedureStepStartTime"},
	{ScheduledProcedureStepEndDate, DA, "ScheduledProcedureStepEndDate"},
	{ScheduledProcedureStepEndTime, TM, "ScheduledProcedureStepEndTime"},
	{ScheduledPerformingPhysicianName, PN, "ScheduledPerformingPhysicianName"},
	{ScheduledProcedureStepDescription, LO, "ScheduledProcedureStepDescription"},
	{ScheduledProtocolCodeSequence, SQ, "ScheduledProtocolCodeSequence"},
	{ScheduledProcedureStepID, SH, "ScheduledProcedureStepID"},
	{ScheduledStationName, SH, "ScheduledStationName"},
	{ScheduledProcedureStepLocation, SH, "ScheduledProcedureStepLocation"},
	{PreMedication, LO, "PreMedication"},
	{ScheduledProcedureStepStatus, CS, "ScheduledProcedureStepStatus"},
	{OrderPlacerIdentifierSequence, SQ, "OrderPlacerIdentifierSequence"},
	{OrderFillerIdentifierSequence, SQ, "OrderFillerIdentifierSequence"},
	{LocalNamespaceEntityID, UT, "LocalNamespaceEntityID"},
	{UniversalEntityID, UT, "UniversalEntityID"},
	{UniversalEntityIDType, CS, "UniversalEntityIDType"},
	{ScheduledProcedureStepSequence, SQ, "ScheduledProcedureStepSequence"},
	{ReferencedNonImageCompositeSOPInstanceSequence, SQ, "ReferencedNonImageCompositeSOPInstanceSequence"},
	{PerformedStationAETitle, AE, "PerformedStationAETitle"},
	{PerformedStationName, SH, "PerformedStationName"},
	{PerformedLocation, SH, "PerformedLocation"},
	{PerformedProcedureStepStartDate, DA, "PerformedProcedureStepStartDate"},
	{PerformedProcedureStepStartTime, TM, "PerformedProcedureStepStartTime"},
	{PerformedProcedureStepEndDate, DA, "PerformedProcedureStepEndDate"},
	{PerformedProcedureStepEndTime, TM, "PerformedProcedureStepEndTime"},
	{PerformedProcedureStepStatus, CS, "PerformedProcedureStepStatus"},
	{PerformedProcedureStepID, SH, "PerformedProcedureStepID"},
	{PerformedProcedureStepDescription, LO, "PerformedProcedureStepDescription"},
	{PerformedProcedureTypeDescription, LO, "PerformedProcedureTypeDescription"},
	{PerformedProtocolCodeSequence, SQ, "PerformedProtocolCodeSequence"},
	{ScheduledStepAttributesSequence, SQ, "ScheduledStepAttributesSequence"},
	{RequestAttributesSequence, SQ, "RequestAttributesSequence"},
	{CommentsOnThePerformedProcedureStep, ST, "CommentsOnThePerformedProcedureStep"},
	{PerformedProcedureStepDiscontinuationReasonCodeSequence, SQ, "PerformedProcedureStepDiscontinuationReasonCodeSequence"},
	{TotalNumberOfExposures, US, "TotalNumberOfExposures"},
	{ExposureDoseSequence, SQ, "ExposureDoseSequence"},
	{PerformedSeriesSequence, SQ, "PerformedSeriesSequence"},
	{CommentsOnTheScheduledProcedureStep, LT, "CommentsOnTheScheduledProcedureStep"},
	{RequestedProcedureID, SH, "RequestedProcedureID"},
	{ReasonForTheRequestedProcedure, LO, "ReasonForTheRequestedProcedure"},
	{RequestedProcedurePriority, SH, "RequestedProcedurePriority"},
	{PatientTransportArrangements, LO, "PatientTransportArrangements"},
	{RequestedProcedureLocation, LO, "RequestedProcedureLocation"},
	{ReasonForRequestedProcedureCodeSequence, SQ, "ReasonForRequestedProcedureCodeSequence"},
	{NamesOfIntendedRecipientsOfResults, PN, "NamesOfIntendedRecipientsOfResults"},
	{RequestedProcedureComments, LT, "RequestedProcedureComments"},
	{ReasonForTheImagingServiceRequest, LO, "ReasonForTheImagingServiceRequest"},
	{IssueDateOfImagingServiceRequest, DA, "IssueDateOfImagingServiceRequest"},
	{IssueTimeOfImagingServiceRequest, TM, "IssueTimeOfImagingServiceRequest"},
	{OrderEnteredBy, PN, "OrderEnteredBy"},
	{OrderEntererLocation, SH, "OrderEntererLocation"},
	{OrderCallbackPhoneNumber, SH, "OrderCallbackPhoneNumber"},
	{PlacerOrderNumberImagingServiceRequest, LO, "PlacerOrderNumberImagingServiceRequest"},
	{FillerOrderNumberImagingServiceRequest, LO, "FillerOrderNumberImagingServiceRequest"},
	{ImagingServiceRequestComments, LT, "ImagingServiceRequestComments"},
	{ConfidentialityConstraintOnPatientDataDescription, LO, "ConfidentialityConstraintOnPatientDataDescription"},
	{PresentationLUTShape, CS, "PresentationLUTShape"},
	{PixelData, OW, "PixelData"},
	{DataSetTrailingPadding, OB, "DataSetTrailingPadding"},
}

package query

import (
	"context"
	"iter"
	"strconv"
	"strings"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// StudyRootClassUID is Study Root Query/Retrieve Information Model - FIND.
const StudyRootClassUID = "1.2.840.10008.5.1.4.1.2.2.1"

// maxStudies bounds how many answers of an archive are read: one that ignores
// our keys would send all it has.
const maxStudies = 500

// StudyKeys say which study is looked for. Empty ones match everything.
type StudyKeys struct {
	StudyInstanceUID string
	AccessionNumber  string
	PatientID        string
	Modality         string // Modalities in Study
	Date             string // 20261122 or a range
}

// Study is what an archive says about a study.
type Study struct {
	Set *dataset.Set // the whole answer

	StudyInstanceUID string
	AccessionNumber  string
	PatientID        string
	PatientName      string
	StudyDate        string
	StudyTime        string
	Modalities       []string
	Series           int // -1 when the archive does not say
	Instances        int // -1 when the archive does not say
}

// FoundBy says by which key a study was found.
type FoundBy string

// The keys of CheckStudy, in their order.
const (
	ByStudyInstanceUID FoundBy = "study_instance_uid"
	ByAccessionNumber  FoundBy = "accession_number"
	ByPatientID        FoundBy = "patient_id" // with modality and date
)

// Studies asks an archive for studies (C-FIND, Study Root, STUDY level). Answers
// that contradict the keys are left out: archives ignore keys that they do not
// support.
func Studies(ctx context.Context, t Target, k StudyKeys) iter.Seq2[*Study, error] {
	return func(yield func(*Study, error) bool) {
		c, err := open(ctx, t, StudyRootClassUID)
		if err != nil {
			yield(nil, err)
			return
		}
		defer c.close(ctx)
		for s, err := range c.studies(ctx, k) {
			if !yield(s, err) {
				return
			}
		}
	}
}

// CheckStudy looks for a study by its UID, then by accession number, then by
// patient id with modality and date, all on one association, and returns what
// the first of them that finds something finds. Keys that are empty are passed
// over; without the study no error but an empty result.
func CheckStudy(ctx context.Context, t Target, k StudyKeys) ([]*Study, FoundBy, error) {
	c, err := open(ctx, t, StudyRootClassUID)
	if err != nil {
		return nil, "", err
	}
	defer c.close(ctx)
	attempts := []struct {
		by   FoundBy
		key  string
		keys StudyKeys
	}{
		{ByStudyInstanceUID, k.StudyInstanceUID, StudyKeys{StudyInstanceUID: k.StudyInstanceUID}},
		{ByAccessionNumber, k.AccessionNumber, StudyKeys{AccessionNumber: k.AccessionNumber}},
		{ByPatientID, k.PatientID, StudyKeys{PatientID: k.PatientID, Modality: k.Modality, Date: k.Date}},
	}
	for _, a := range attempts {
		if a.key == "" {
			continue
		}
		var found []*Study
		for s, err := range c.studies(ctx, a.keys) {
			if err != nil {
				return nil, "", err
			}
			found = append(found, s)
		}
		if len(found) > 0 {
			return found, a.by, nil
		}
	}
	return nil, "", nil
}

// studies is one C-FIND.
func (c *client) studies(ctx context.Context, k StudyKeys) iter.Seq2[*Study, error] {
	return func(yield func(*Study, error) bool) {
		identifier, err := k.identifier(c.syntax)
		if err != nil {
			yield(nil, err)
			return
		}
		n := 0
		for set, err := range c.find(ctx, identifier) {
			if err != nil {
				yield(nil, err)
				return
			}
			if n++; n > maxStudies {
				return
			}
			if s := newStudy(set); k.agrees(s) && !yield(s, nil) {
				return
			}
		}
	}
}

// identifier returns the data set of the query.
func (k StudyKeys) identifier(syntax dataset.Syntax) ([]byte, error) {
	values := map[dataset.Tag]string{
		dataset.QueryRetrieveLevel: "STUDY",
		dataset.StudyInstanceUID:   k.StudyInstanceUID,
		dataset.AccessionNumber:    k.AccessionNumber,
		dataset.PatientID:          k.PatientID,
		dataset.ModalitiesInStudy:  k.Modality,
		dataset.StudyDate:          k.Date,
	}
	cs := charset("", values)
	b := dataset.NewBuilder(syntax, cs)
	b.Strings(dataset.SpecificCharacterSet, cs.DefinedTerm())
	err := put(b, cs, []dataset.Tag{
		dataset.QueryRetrieveLevel, dataset.StudyInstanceUID, dataset.AccessionNumber, dataset.PatientID,
		dataset.PatientName, dataset.ModalitiesInStudy, dataset.StudyDate, dataset.StudyTime,
		dataset.NumberOfStudyRelatedSeries, dataset.NumberOfStudyRelatedInstances,
	}, values)
	if err != nil {
		return nil, err
	}
	return b.Bytes()
}

// newStudy reads an answer.
func newStudy(set *dataset.Set) *Study {
	cs := set.Charset()
	return &Study{
		Set:              set,
		StudyInstanceUID: set.String(dataset.StudyInstanceUID),
		AccessionNumber:  set.Text(dataset.AccessionNumber, cs),
		PatientID:        set.Text(dataset.PatientID, cs),
		PatientName:      set.Text(dataset.PatientName, cs),
		StudyDate:        set.String(dataset.StudyDate),
		StudyTime:        set.String(dataset.StudyTime),
		Modalities:       set.Strings(dataset.ModalitiesInStudy),
		Series:           count(set, dataset.NumberOfStudyRelatedSeries),
		Instances:        count(set, dataset.NumberOfStudyRelatedInstances),
	}
}

// count reads an IS; -1 when it is absent or no number.
func count(set *dataset.Set, t dataset.Tag) int {
	n, err := strconv.Atoi(strings.TrimPrefix(set.String(t), "+"))
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// agrees reports whether nothing in s contradicts the keys that name one thing.
func (k StudyKeys) agrees(s *Study) bool {
	same := func(key, got string) bool {
		return key == "" || got == "" || key == got || strings.ContainsAny(key, `*?\`)
	}
	return same(k.StudyInstanceUID, s.StudyInstanceUID) && same(k.AccessionNumber, s.AccessionNumber) &&
		same(k.PatientID, s.PatientID)
}

package config

import "reflect"

// Unlimited is the value of days_back and days_ahead that sets no limit.
const Unlimited = -1

// Modality is one [[modality]]: an imaging machine and how it wants its
// worklist.
type Modality struct {
	Name        string   `toml:"name" comment:"for people"`
	AETitle     string   `toml:"ae_title" comment:"as the machine calls itself"`
	Addresses   Names    `toml:"addresses" comment:"IP addresses or networks it may call from; empty: any"`
	Code        string   `toml:"code" default:"DX" comment:"DICOM modality, such as DX, CR, CT, MR, US, IO"`
	Serves      Names    `toml:"serves" comment:"Provet modality names or ids whose orders go here"`
	Departments Names    `toml:"departments" comment:"Provet department names or ids whose orders it may show; empty: all"`
	Charset     string   `toml:"charset" default:"auto" comment:"auto, or a DICOM defined term such as ISO_IR 100"`
	PatientName string   `toml:"patient_name" default:"owner^patient" oneof:"owner^patient|patient^owner|patient" comment:"what stands in the patient's name"`
	DoneWhen    Names    `toml:"done_when" default:"mpps,images,hl7" comment:"evidence that completes an order here: mpps, images, hl7"`
	IdleAfter   Duration `toml:"idle_after" default:"24h" min:"0s" max:"365d" comment:"an order that nothing happens to for so long; 0s: never"`
	IdleAction  string   `toml:"idle_action" default:"flag" oneof:"flag|complete|discontinue" comment:"what happens then"`

	AEAliases      Names             `toml:"ae_aliases" comment:"further titles of this machine"`
	CalledAliases  Names             `toml:"called_aliases" comment:"further titles under which it may call us"`
	Sees           Names             `toml:"sees" comment:"names of other machines whose orders it may list too"`
	StationKey     string            `toml:"station_key" default:"match" oneof:"match|ignore" comment:"ignore: the scheduled station AE title in its queries is not used"`
	CodeAliases    Names             `toml:"code_aliases" comment:"further modality codes it may ask for"`
	DaysBack       int               `toml:"days_back" default:"-1" min:"-1" max:"36500" comment:"window when a query names no date; -1: unlimited"`
	DaysAhead      int               `toml:"days_ahead" default:"-1" min:"-1" max:"36500"`
	MaxAnswers     int               `toml:"max_answers" default:"10000" min:"0" max:"1000000" comment:"of one query; 0: no limit"`
	Show           Names             `toml:"show" default:"scheduled,in_progress" comment:"states of the orders offered"`
	TransferSyntax string            `toml:"transfer_syntax" default:"auto" oneof:"auto|implicit"`
	TextLimits     TextLimits        `toml:"text_limits" inline:"yes" comment:"shorter limits than DICOM's, in characters; an accession number or patient id that does not fit holds the order"`
	SpeciesIn      Names             `toml:"species_in" comment:"also write species and breed to: patient_comments, procedure, step"`
	DropKeys       Names             `toml:"drop_keys" comment:"keys that are never returned, by keyword or (gggg,eeee)"`
	FixedKeys      map[string]string `toml:"fixed_keys" inline:"yes" comment:"keys always answered with this value when asked for"`
	MPPSLenient    bool              `toml:"mpps_lenient" comment:"accept MPPS messages with missing or misplaced attributes"`
}

// TextLimits are limits in characters; 0 means DICOM's own.
type TextLimits struct {
	Accession int `toml:"accession" min:"0" max:"16"`
	PatientID int `toml:"patient_id" min:"0" max:"64"`
	Name      int `toml:"name" min:"0" max:"64"`
	Owner     int `toml:"owner" min:"0" max:"64"`
	Species   int `toml:"species" min:"0" max:"64"`
	Breed     int `toml:"breed" min:"0" max:"64"`
	Procedure int `toml:"procedure" min:"0" max:"64"`
	Step      int `toml:"step" min:"0" max:"64"`
	Comments  int `toml:"comments" min:"0" max:"10240"`
}

// Map returns the limits that are set, by their name in the file.
func (t TextLimits) Map() map[string]int {
	m := map[string]int{}
	v := reflect.ValueOf(t)
	for _, f := range fieldsOf(v.Type()) {
		if n := int(v.Field(f.index).Int()); n > 0 {
			m[f.name] = n
		}
	}
	return m
}

// Code is a coded value (DICOM PS3.3 table 8.8-1).
type Code struct {
	Value   string `toml:"value"`
	Scheme  string `toml:"scheme"`
	Meaning string `toml:"meaning"`
}

// Species is one [[species]]: a DICOM code and posture for what Provet calls it.
type Species struct {
	Name        string `toml:"name" comment:"as Provet shows it; or code"`
	Code        string `toml:"code" comment:"Provet's species code; or name"`
	DICOM       Code   `toml:"dicom" inline:"yes" comment:"such as { value = \"448771007\", scheme = \"SCT\", meaning = \"Dog\" } (context group 7454)"`
	Orientation string `toml:"orientation" default:"QUADRUPED" oneof:"QUADRUPED|BIPED"`
}

// TargetArea is one [[target_area]].
type TargetArea struct {
	Name     string `toml:"name" comment:"name or id of Provet's target area"`
	BodyPart string `toml:"body_part" comment:"DICOM body part examined, such as CHEST"`
	Code     Code   `toml:"code" inline:"yes"`
}

// Procedure is one [[procedure]].
type Procedure struct {
	Modality string `toml:"modality" comment:"name or id of Provet's modality"`
	Code     Code   `toml:"code" inline:"yes"`
}

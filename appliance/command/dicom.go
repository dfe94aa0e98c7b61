package command

import (
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/drivers/dicom/query"
)

type dicomCmd struct {
	Echo dicomEchoCmd `cmd:"" help:"Ask whether a DICOM application answers (C-ECHO)."`
	Find dicomFindCmd `cmd:"" help:"Ask for a modality worklist (C-FIND)."`
}

type dicomEchoCmd struct {
	Peer    string `arg:"" name:"peer" help:"AE title and address, AET@HOST:PORT."`
	Calling string `help:"AE title we call ourselves. Default: that of the settings." placeholder:"AET"`
}

// Help shows an example.
func (dicomEchoCmd) Help() string { return "Example:\n\n  rayhound dicom echo PACS@192.168.1.30:11112" }

// Run sends the echo.
func (c dicomEchoCmd) Run(e *env) error {
	t, err := e.target(c.Peer, c.Calling)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := query.Echo(e.ctx, t); err != nil {
		return err
	}
	e.printf("%s answers after %s.\n", plain(c.Peer), time.Since(begin).Round(10*time.Microsecond))
	return nil
}

type dicomFindCmd struct {
	Peer        string `arg:"" name:"peer" help:"AE title and address, AET@HOST:PORT."`
	Calling     string `help:"AE title we call ourselves. Default: that of the settings." placeholder:"AET"`
	Modality    string `help:"Such as DX." placeholder:"CS"`
	Date        string `help:"today, YYYYMMDD, or a range YYYYMMDD-YYYYMMDD." placeholder:"DATE"`
	PatientID   string `name:"patient-id" help:"Patient id." placeholder:"ID"`
	PatientName string `name:"patient-name" help:"Patient's name, with wildcards * and ?." placeholder:"NAME"`
	Accession   string `help:"Accession number." placeholder:"NUMBER"`
	Station     string `help:"Scheduled station AE title." placeholder:"AET"`
	Limit       int    `help:"Stop after so many (C-CANCEL); 0: all." default:"0" placeholder:"N"`
	JSON        bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (dicomFindCmd) Help() string {
	return "Example:\n\n  rayhound dicom find RAYHOUND@127.0.0.1:11112 --calling DR1 --date today"
}

// Run asks for the worklist.
func (c dicomFindCmd) Run(e *env) error {
	t, err := e.target(c.Peer, c.Calling)
	if err != nil {
		return err
	}
	date := c.Date
	if strings.EqualFold(date, "today") {
		date = time.Now().Format("20060102")
	} else if at, err := time.Parse(time.DateOnly, date); err == nil {
		date = at.Format("20060102")
	}
	keys := query.Keys{
		PatientName: c.PatientName, PatientID: c.PatientID, AccessionNumber: c.Accession, Modality: c.Modality, StationAETitle: c.Station, Date: date,
	}
	all := []worklistItem{}
	for entry, err := range query.Worklist(e.ctx, t, keys) {
		if err != nil {
			return err
		}
		all = append(all, itemOf(entry))
		if c.Limit > 0 && len(all) == c.Limit {
			break
		}
	}
	if c.JSON {
		return e.json(all)
	}
	if len(all) == 0 {
		e.printf("The worklist is empty.\n")
		return nil
	}
	rows := make([][]string, len(all))
	for i, x := range all {
		rows[i] = []string{
			x.AccessionNumber, x.PatientName, x.PatientID, x.PatientSpecies, x.Modality, x.StationAETitle, strings.TrimSpace(x.StartDate + " " + x.StartTime), x.Description,
		}
	}
	e.table([]string{"ACCESSION", "PATIENT", "ID", "SPECIES", "MODALITY", "STATION", "START", "WHAT"}, rows)
	e.printf("%s.\n", count(len(all), "answer"))
	return nil
}

// worklistItem is an answer as JSON shows it.
type worklistItem struct {
	AccessionNumber          string `json:"accession_number"`
	PatientName              string `json:"patient_name"`
	PatientID                string `json:"patient_id"`
	PatientBirthDate         string `json:"patient_birth_date"`
	PatientSex               string `json:"patient_sex"`
	PatientSpecies           string `json:"patient_species"`
	PatientBreed             string `json:"patient_breed"`
	ResponsiblePerson        string `json:"responsible_person"`
	StudyInstanceUID         string `json:"study_instance_uid"`
	RequestedProcedureID     string `json:"requested_procedure_id"`
	ScheduledProcedureStepID string `json:"scheduled_procedure_step_id"`
	Description              string `json:"description"`
	Modality                 string `json:"modality"`
	StationAETitle           string `json:"station_ae_title"`
	StartDate                string `json:"start_date"`
	StartTime                string `json:"start_time"`
}

func itemOf(x *query.Entry) worklistItem {
	return worklistItem{
		AccessionNumber: x.AccessionNumber, PatientName: x.PatientName, PatientID: x.PatientID, PatientBirthDate: x.PatientBirthDate,
		PatientSex: x.PatientSex, PatientSpecies: x.PatientSpecies, PatientBreed: x.PatientBreed, ResponsiblePerson: x.ResponsiblePerson,
		StudyInstanceUID: x.StudyInstanceUID, RequestedProcedureID: x.RequestedProcedureID, ScheduledProcedureStepID: x.ScheduledProcedureStepID,
		Description: first(x.ScheduledProcedureStepDescription, x.RequestedProcedureDescription), Modality: x.Modality,
		StationAETitle: x.StationAETitle, StartDate: x.StartDate, StartTime: x.StartTime,
	}
}

// target reads AET@HOST:PORT. We call ourselves as the option or the settings
// say.
func (e *env) target(peer, calling string) (query.Target, error) {
	t, err := query.ParseTarget(peer)
	if err != nil {
		return t, usage(sentence(strings.TrimPrefix(err.Error(), "query: ")))
	}
	if calling == "" {
		if f, err := config.Load(e.configPath); err == nil {
			calling = f.DICOM.AETitle
		}
	}
	if calling != "" {
		if err := query.CheckAETitle(calling); err != nil {
			return t, usage(sentence(strings.TrimPrefix(err.Error(), "query: ")))
		}
	}
	t.CallingAETitle = calling
	return t, nil
}

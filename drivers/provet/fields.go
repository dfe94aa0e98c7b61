package provet

import (
	"maps"
	"slices"
	"strings"
)

// Fields maps resource -> logical field -> candidate names in Provet's JSON, in
// the order they are tried. A candidate may be a path such as "details.name".
// An empty list switches a field off.
type Fields map[string]map[string][]string

// neededFields are the fields of the worklist without which an order does not work.
var neededFields = []string{"status", "patient", "modality"}

// DefaultFields returns the shipped mapping. Names of the imaging objects are
// assumptions until a probe or the OpenAPI file has confirmed them.
func DefaultFields() Fields {
	return Fields{
		resWorklist: {
			"status":                   {"status"},
			"status_label":             {"status_display", "status_label", "status_text"},
			"patient":                  {"patient", "patients", "patient_id"},
			"patient_name":             {"patient_name"},
			"client":                   {"client", "client_id"},
			"client_name":              {"client_name"},
			"modality":                 {"modality", "modalities"},
			"referral":                 {"referral", "diagnosticimaging_referral"},
			"requesting_user":          {"requesting_user", "user", "created_user"},
			"supervising_veterinarian": {"supervising_veterinarian"},
			"target_areas":             {"target_areas", "targetareas"},
			"department":               {"department"},
			"scheduled_at":             {},
			"priority":                 {"priority", "urgency"},
			"created":                  {"created"},
			"modified":                 {"modified"},
		},
		resReferral: {
			"remarks":        {"remarks"},
			"internal_notes": {"internal_notes"},
			"consultation":   {"consultation", "consultation_id"},
			"appointment":    {"appointment", "appointment_id"},
			"patient":        {"patient", "patient_id"},
			"worklist":       {"worklist", "diagnosticimaging_worklist", "diagnosticimagingworklist"},
		},
		resConsultation: {
			"client": {"client"}, "patients": {"patients"}, "complaint": {"complaint"},
			"department": {"department"}, "ward": {"ward"}, "appointment": {"appointment"},
			"supervising_veterinarian": {"supervising_veterinarian"},
		},
		resClient: {
			"first_name": {"firstname", "first_name"}, "last_name": {"lastname", "last_name"},
			"organization": {"organization_name", "organisation_name"},
			"phones":       {"phone_numbers", "phone_number", "phone"},
		},
		resPatient: {
			"name": {"name"}, "species": {"species"}, "species_code": {"species_code"},
			"breed": {"breed"}, "breed_code": {"breed_code"},
			"gender": {"gender", "sex"}, "gender_code": {"gender_code", "sex_code"},
			"weight": {"weight"}, "date_of_birth": {"date_of_birth"}, "microchip": {"microchip"},
			"critical_notes": {"critical_notes"}, "deceased": {"deceased"}, "archived": {"archived"},
			"merge_patient": {"merge_patient"}, "client": {"client"},
		},
		resModality:    {"name": {"name"}},
		resTargetArea:  {"name": {"name"}},
		resDepartment:  {"name": {"name"}},
		resWard:        {"name": {"name"}},
		resUser:        {"first_name": {"first_name", "firstname"}, "last_name": {"last_name", "lastname"}, "title": {"title"}},
		resAppointment: {"start": {"start"}, "active": {"active"}},
		resWebhook: {
			"trigger": {"trigger", "trigger_type"},
			"url":     {"target_url", "hook_url", "webhook_url", "callback_url", "endpoint_url", "endpoint", "target", "url"},
			"name":    {"name", "title", "description"}, "active": {"active", "is_active", "enabled", "is_enabled"},
			"content_type": {"content_type"}, "department": {"department", "departments"},
		},
		resWebhookQueue: {"status": {"status", "state"}, "webhook": {"webhook", "hook"}},
		resWebhookBody: {
			"order": {
				"diagnosticimagingworklist_id", "diagnosticimaging_worklist_id", "diagnostic_imaging_worklist_id",
				"diagnosticimagingworklist", "diagnosticimaging_worklist",
			},
			"provet_id": {"provet_id"}, "provet_url": {"provet_url"},
		},
	}
}

// With returns f with the entries of over in place of its own. The candidates
// of over are trimmed; neither argument is changed.
func (f Fields) With(over Fields) Fields {
	out := Fields{}
	for res, m := range f {
		out[res] = maps.Clone(m)
	}
	for res, m := range over {
		if out[res] == nil {
			out[res] = map[string][]string{}
		}
		for logical, names := range m {
			var kept []string
			for _, n := range names {
				if n = strings.TrimSpace(n); n != "" {
					kept = append(kept, n)
				}
			}
			out[res][logical] = kept
		}
	}
	return out
}

// find returns the name and value of a logical field: the first candidate that
// exists and is not null, else the first that exists.
func (f Fields) find(res, logical string, o object) (name string, v any, ok bool) {
	for _, cand := range f[res][logical] {
		got, there := o.at(cand)
		if !there {
			continue
		}
		if got != nil {
			return cand, got, true
		}
		if !ok {
			name, ok = cand, true
		}
	}
	return name, nil, ok
}

// value is find without the name.
func (f Fields) value(res, logical string, o object) any {
	_, v, _ := f.find(res, logical, o)
	return v
}

// fieldError describes a logical field that o lacks.
func (f Fields) fieldError(res, logical string, o object) *FieldError {
	seen := slices.Sorted(maps.Keys(o))
	if len(seen) > 60 {
		seen = seen[:60]
	}
	return &FieldError{Resource: res, Field: logical, Tried: slices.Clone(f[res][logical]), Seen: seen}
}

// joinNames lists names for people, shortened.
func joinNames(names []string) string {
	const most = 600
	s := cleanLine(strings.Join(names, ", "))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + " ..."
	}
	return s
}

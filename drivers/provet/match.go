package provet

import (
	"maps"
	"slices"
	"strings"
)

// seenField is what a source says about one field.
type seenField struct {
	Type    string
	Choices []Choice
}

// likeness lists words of names that read like a logical field, for fields
// whose candidates are all absent. All words of one entry must occur.
var likeness = map[string][][]string{
	"status":                   {{"status"}, {"state"}},
	"patient":                  {{"patient"}, {"animal"}},
	"client":                   {{"client"}, {"owner"}, {"customer"}},
	"modality":                 {{"modality"}, {"modalities"}},
	"referral":                 {{"referral"}},
	"requesting_user":          {{"request", "user"}, {"requested", "by"}, {"requester"}, {"referring"}, {"created", "user"}, {"created", "by"}},
	"supervising_veterinarian": {{"supervising"}, {"veterinarian"}, {"vet"}},
	"target_areas":             {{"target", "area"}, {"target", "areas"}, {"targetarea"}, {"targetareas"}, {"areas"}},
	"department":               {{"department"}},
	"scheduled_at":             {{"scheduled"}, {"planned", "time"}, {"start"}},
	"priority":                 {{"priority"}, {"urgency"}, {"urgent"}},
	"created":                  {{"created"}},
	"modified":                 {{"modified"}, {"updated"}},
	"remarks":                  {{"remarks"}, {"remark"}, {"comment"}},
	"internal_notes":           {{"internal"}, {"notes"}},
	"consultation":             {{"consultation"}},
	"appointment":              {{"appointment"}},
}

// optional fields are not worth a line when they are absent everywhere.
var optional = map[string]bool{
	"status_label": true, "patient_name": true, "client_name": true, "worklist": true,
}

// matchFields compares the mapping of a resource with the names that are there.
func (f Fields) matchFields(res string, seen map[string]seenField) ResourceReport {
	const most = 400
	names := slices.Sorted(maps.Keys(seen))
	rep := ResourceReport{Resource: res, Seen: names[:min(len(names), most)]}
	taken := map[string]bool{"id": true, "url": true}
	logicals := slices.Sorted(maps.Keys(f[res]))
	for _, l := range logicals {
		fr := FieldReport{Field: l, Verdict: Unmapped, Tried: slices.Clone(f[res][l])}
		for _, cand := range f[res][l] {
			sf, ok := seen[cand]
			if !ok {
				continue
			}
			if fr.Verdict == Mapped {
				fr.Others = append(fr.Others, cand)
				continue
			}
			fr.Verdict, fr.Name, fr.Type = Mapped, cand, sf.Type
			taken[cand] = true
		}
		if fr.Verdict == Unmapped && optional[l] {
			continue
		}
		rep.Fields = append(rep.Fields, fr)
	}
	for i := range rep.Fields {
		if fr := &rep.Fields[i]; fr.Verdict == Unmapped {
			alike(fr, names, seen, taken)
		}
	}
	return rep
}

// alike looks for names that read like a field, among those not taken. A status
// is also recognised by its choices.
func alike(fr *FieldReport, names []string, seen map[string]seenField, taken map[string]bool) {
	for _, words := range likeness[fr.Field] {
		for _, n := range names {
			if taken[n] || slices.Contains(fr.Others, n) || !hasWords(n, words) {
				continue
			}
			if fr.Field == "scheduled_at" || fr.Field == "created" || fr.Field == "modified" {
				if t := seen[n].Type; t != "" && !strings.Contains(t, "date") {
					continue
				}
			}
			fr.Others = append(fr.Others, n)
		}
		if len(fr.Others) > 0 {
			break
		}
	}
	if len(fr.Others) == 0 && fr.Field == "status" {
		for _, n := range names {
			if !taken[n] && len(seen[n].Choices) > 1 && len(propose(seen[n].Choices)) > 1 {
				fr.Others = append(fr.Others, n)
			}
		}
	}
	switch len(fr.Others) {
	case 0:
	case 1:
		fr.Verdict, fr.Name, fr.Others = Proposed, fr.Others[0], nil
		fr.Type = seen[fr.Name].Type
	default:
		fr.Verdict = Ambiguous
	}
}

// hasWords reports whether a name such as "imaging_status" or "imagingStatus"
// has all the words.
func hasWords(name string, want []string) bool {
	have := nameWords(name)
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

// nameWords splits snake_case, kebab-case and camelCase.
func nameWords(name string) []string {
	var b strings.Builder
	var before rune
	for _, r := range name {
		if r >= 'A' && r <= 'Z' && before >= 'a' && before <= 'z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		before = r
	}
	return words(b.String())
}

// statusReport takes the choices of the status field.
func statusReport(rep ResourceReport, seen map[string]seenField) StatusReport {
	i := slices.IndexFunc(rep.Fields, func(f FieldReport) bool { return f.Field == "status" })
	if i < 0 || rep.Fields[i].Name == "" {
		return StatusReport{}
	}
	name := rep.Fields[i].Name
	st := StatusReport{Field: name, Choices: seen[name].Choices, Numeric: len(seen[name].Choices) > 0}
	for _, ch := range st.Choices {
		st.Numeric = st.Numeric && isInteger(ch.Value)
	}
	st.Proposals = propose(st.Choices)
	return st
}

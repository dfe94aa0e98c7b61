package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// maxText bounds every text of the settings, in bytes.
const maxText = 4096

// check returns every mistake of f.
func (f *File) check() Errors {
	var errs Errors
	checkRanges("", reflect.ValueOf(f).Elem(), &errs)
	checkTexts("", reflect.ValueOf(f).Elem(), &errs)
	f.Clinic.check(&errs)
	f.Provet.check(&errs)
	checkWebURL("tunnel.relay_url", f.Tunnel.RelayURL, "wss", "ws", &errs)
	checkProxy("tunnel.proxy_url", f.Tunnel.ProxyURL, &errs)
	f.DICOM.check(&errs)
	f.checkModalities(&errs)
	f.PACS.check(&errs)
	f.checkRIS(&errs)
	f.HL7.check(&errs)
	if len(f.Page.Listen) == 0 {
		errs.add("page.listen", "", "at least one address is needed: commands talk to the service through it")
	}
	for i, a := range f.Page.Listen {
		checkListen(item("page.listen", i), a, true, &errs)
	}
	f.checkTables(&errs)
	return errs
}

func (c *Clinic) check(errs *Errors) {
	if c.TimeZone != "" {
		if _, err := time.LoadLocation(c.TimeZone); err != nil || strings.EqualFold(c.TimeZone, "local") {
			errs.add("clinic.time_zone", "such as Europe/Helsinki or America/New_York", "%q is not a time zone", clip(c.TimeZone))
		}
	}
	switch {
	case len(c.AccessionPrefix) > 8:
		errs.add("clinic.accession_prefix", "", "at most 8 characters; the accession number has 16 in all")
	case strings.ContainsFunc(c.AccessionPrefix, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`\*?^&|~`, r)
	}):
		errs.add("clinic.accession_prefix", "", "only letters, digits and simple signs; no space, \\, *, ?, ^, &, | or ~")
	}
}

func (p *Provet) check(errs *Errors) {
	checkWebURL("provet.base_url", p.BaseURL, "https", "http", errs)
	checkProxy("provet.proxy_url", p.ProxyURL, errs)
	if i := strings.Index(p.BaseURL, "/api/"); i > 0 {
		errs.add("provet.base_url", "write "+p.BaseURL[:i], "the address ends before /api/")
	}
	if strings.ContainsFunc(p.ClientID, unicode.IsSpace) {
		errs.add("provet.client_id", "", "contains a space")
	}
	for resource, fields := range p.Fields {
		at := "provet.fields." + resource
		if !isFieldName(resource) {
			errs.add(at, "", "not the name of a resource")
		}
		for ours, theirs := range fields {
			if !isFieldName(ours) {
				errs.add(at+"."+ours, "", "not the name of a field")
			}
			for i, t := range theirs {
				if !isFieldName(t) {
					errs.add(item(at+"."+ours, i), "letters, digits, _ and . only", "%q is not the name of a field", clip(t))
				}
			}
		}
	}
	for gender, sex := range p.Sexes {
		word, neutered, _ := strings.Cut(sex, " ")
		if !slices.Contains([]string{"", "M", "F", "O"}, word) || !slices.Contains([]string{"", "altered", "unaltered"}, neutered) {
			errs.add("provet.sexes."+gender, `such as "M", "F altered", "M unaltered" or ""`, "%q is not a sex", clip(sex))
		}
	}
	p.checkStatus(errs)
}

// checkStatus refuses a value that would mean two things.
func (p *Provet) checkStatus(errs *Errors) {
	s := p.Status
	for _, row := range []struct {
		name  string
		value Value
	}{
		{"scheduled", s.Scheduled}, {"in_progress", s.InProgress}, {"completed", s.Completed}, {"discontinued", s.Discontinued},
	} {
		if row.value != "" && slices.Contains(s.Withdrawn, string(row.value)) {
			errs.add("provet.status."+row.name, "", "%q is also in withdrawn: we would withdraw the orders we report on", clip(string(row.value)))
		}
	}
}

func (d *DICOM) check(errs *Errors) {
	checkAETitle("dicom.ae_title", d.AETitle, errs)
	for i, a := range d.Listen {
		checkListen(item("dicom.listen", i), a, false, errs)
	}
	for i, a := range d.TLSListen {
		checkListen(item("dicom.tls_listen", i), a, false, errs)
	}
	if len(d.TLSListen) > 0 && (d.TLSCert == "" || d.TLSKey == "") {
		errs.add("dicom.tls_listen", "", "tls_cert and tls_key are needed with it")
	}
	all := slices.Concat(d.Listen, d.TLSListen)
	for i, a := range all {
		if slices.Contains(all[:i], a) && !strings.HasSuffix(a, ":0") {
			errs.add("dicom.listen", "", "%q is listed twice", clip(a))
		}
	}
}

func (p *PACS) check(errs *Errors) {
	if p.Address != "" {
		checkPeer("pacs.address", p.Address, errs)
		checkAETitle("pacs.ae_title", p.AETitle, errs)
	} else if p.AETitle != "" {
		checkAETitle("pacs.ae_title", p.AETitle, errs)
	}
	if p.ViewerURL != "" {
		checkViewer("pacs.viewer_url", p.ViewerURL, errs)
	}
}

func (f *File) checkTables(errs *Errors) {
	for i, s := range f.Species {
		at := item("species", i)
		if s.Name == "" && s.Code == "" {
			errs.add(at, "", "name or code is needed")
		}
		checkCode(at+".dicom", s.DICOM, errs)
	}
	for i, t := range f.TargetAreas {
		at := item("target_area", i)
		if t.Name == "" {
			errs.add(at+".name", "", "a name is needed")
		}
		if t.BodyPart != "" && !isCodeString(t.BodyPart) {
			errs.add(at+".body_part", "", "%q: at most 16 capital letters, digits, spaces and _", clip(t.BodyPart))
		}
		checkCode(at+".code", t.Code, errs)
	}
	for i, p := range f.Procedures {
		at := item("procedure", i)
		if p.Modality == "" {
			errs.add(at+".modality", "", "a modality is needed")
		}
		checkCode(at+".code", p.Code, errs)
	}
}

// checkCode checks a coded value: nothing, or value, scheme and meaning within
// the lengths of SH, SH and LO.
func checkCode(at string, c Code, errs *Errors) {
	if c == (Code{}) {
		return
	}
	if c.Value == "" || c.Scheme == "" || c.Meaning == "" {
		errs.add(at, "", "value, scheme and meaning are needed together")
	}
	for name, x := range map[string]struct {
		text  string
		limit int
	}{"value": {c.Value, 16}, "scheme": {c.Scheme, 16}, "meaning": {c.Meaning, 64}} {
		if len([]rune(x.text)) > x.limit || strings.Contains(x.text, `\`) {
			errs.add(at+"."+name, "", "at most %d characters without \\", x.limit)
		}
	}
}

// checkTexts refuses control characters and huge texts everywhere.
func checkTexts(path string, v reflect.Value, errs *Errors) {
	switch kind := v.Kind(); {
	case kind == reflect.String:
		if s := v.String(); len(s) > maxText {
			errs.add(path, "", "longer than %d bytes", maxText)
		} else if strings.ContainsFunc(s, unicode.IsControl) {
			errs.add(path, "", "contains a control character")
		}
	case kind == reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			checkTexts(join(path, f.name), v.Field(f.index), errs)
		}
	case kind == reflect.Slice:
		for i := range v.Len() {
			checkTexts(item(path, i), v.Index(i), errs)
		}
	case kind == reflect.Map:
		for it := v.MapRange(); it.Next(); {
			checkTexts(join(path, it.Key().String()), it.Value(), errs)
		}
	}
}

// item is the path of the element i of a list, counted from 1.
func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i+1) }

// isFieldName reports whether s can be the name of a field of Provet's API, or
// a dotted path of such names.
func isFieldName(s string) bool {
	if s == "" || len(s) > 128 || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && r != '.' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
	})
}

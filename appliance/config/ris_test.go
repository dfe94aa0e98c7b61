package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// Mistakes in a [[ris]] are named with their line.
func TestRISMistakes(t *testing.T) {
	for _, tc := range []struct{ text, key string }{
		{`name = "a b"`, "ris[1].name"},
		{`name = "` + strings.Repeat("x", 33) + `"`, "ris[1].name"},
		{`name = ""`, "ris[1].name"},
		{`address = "clinic"`, "ris[1].address"},
		{`message = "OMI^O23"`, "ris[1].version"},
		{`version = "2.5.1"`, "ris[1].message"},
		{`version = "2.6"`, "ris[1].version"},
		{`update = "CA"`, "ris[1].update"},
		{`charset = "EBCDIC"`, "ris[1].charset"},
		{`charset_in = "EBCDIC"`, "ris[1].charset_in"},
		{`serves = [" "]`, "ris[1].serves[1]"},
		{`completed_when = ["PID-3=1"]`, "ris[1].completed_when[1]"},
		{`completed_when = ["ORC-5"]`, "ris[1].completed_when[1]"},
		{`modalities = { "X-ray" = "x-ray" }`, "ris[1].modalities.X-ray"},
		{`receives_from = ["clinic"]`, "ris[1].receives_from[1]"},
		{`tls_pin = ["ab"]`, "ris[1].tls_pin[1]"},
		{`tls_ca_file = "roots.pem"`, "ris[1].tls"},
		{`cancel = "yes"`, "ris[1].cancel"},
		{`placer_number = "order"`, "ris[1].placer_number"},
		{`timeout = "1ms"`, "ris[1].timeout"},
		{`max_tries = 0`, "ris[1].max_tries"},
		{`owns_worklists = true`, "ris[1].owns_worklists"},
	} {
		text := "[[ris]]\n" + tc.text + "\n"
		for _, key := range []string{"name", "address"} {
			if !strings.HasPrefix(tc.text, key+" ") {
				text += key + ` = "` + map[string]string{"name": "ris", "address": "127.0.0.1:2575"}[key] + "\"\n"
			}
		}
		_, err := Parse([]byte(text))
		var errs Errors
		if !errors.As(err, &errs) || !slices.ContainsFunc(errs, func(e Error) bool { return e.Key == tc.key && e.Line > 0 }) {
			t.Errorf("%s: %v", tc.text, err)
		}
	}
}

func TestRISNamesAreUnique(t *testing.T) {
	one := "[[ris]]\nname = %q\naddress = \"127.0.0.1:2575\"\n"
	_, err := Parse([]byte(strings.ReplaceAll(one, "%q", `"ris"`) + strings.ReplaceAll(one, "%q", `"RIS"`)))
	var errs Errors
	if !errors.As(err, &errs) || errs[0].Key != "ris[2].name" {
		t.Errorf("%v", err)
	}
}

func TestHL7Addresses(t *testing.T) {
	for text, ok := range map[string]bool{
		`listen = []`: true, `listen = [":2575", ":2575"]`: false, `tls_listen = [":2576"]`: false,
		"tls_listen = [\":2576\"]\ntls_cert = \"a\"\ntls_key = \"b\"": true,
	} {
		if _, err := Parse([]byte("[hl7]\n" + text + "\n")); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

package provet_test

import (
	"strings"
	"testing"

	"github.com/rayhound/rayhound/drivers/provet"
)

// The OpenAPI document names the fields of a webhook too.
func TestImportSchemaWebhook(t *testing.T) {
	const doc = `{"openapi":"3.0.3","paths":{"/hook/webhook/{id}/":{"get":{"responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Hook7"}}}}}}}},
		"components":{"schemas":{"Modality":{"properties":{"id":{"type":"integer"},"name":{"type":"string"}}},
		"Hook7":{"properties":{"id":{"type":"integer"},"url":{"type":"string","format":"uri","readOnly":true},"target_url":{"type":"string"},"trigger":{"type":"integer"},"content_type":{"type":"integer"},"is_active":{"type":"boolean"}}}}}}`
	rep, err := provet.DefaultFields().ImportSchema(strings.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	for logical, want := range map[string]string{"url": "target_url", "trigger": "trigger", "active": "is_active", "content_type": "content_type"} {
		if f := rep.Field("webhook", logical); f == nil || f.Verdict != provet.Mapped || f.Name != want {
			t.Errorf("%s: %+v", logical, f)
		}
	}
}

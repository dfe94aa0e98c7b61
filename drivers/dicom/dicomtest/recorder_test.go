package dicomtest

import (
	"bytes"
	"reflect"
	"testing"
)

func TestFlows(t *testing.T) {
	flows := []Flow{
		{true, []byte("a question of more than sixteen bytes | with a bar")},
		{false, []byte{0, 1, 2}},
		{true, []byte{'|'}},
	}
	var b bytes.Buffer
	b.WriteString("A conversation.\n\n")
	if err := WriteFlows(&b, flows); err != nil {
		t.Fatal(err)
	}
	got, err := ParseFlows(&b)
	if err != nil || !reflect.DeepEqual(got, flows) {
		t.Fatalf("%v, %v", got, err)
	}
}

package dataset

import "testing"

func TestBuilderRoundTrip(t *testing.T) {
	for _, s := range []Syntax{ImplicitLE, ExplicitLE} {
		b := NewBuilder(s, Latin1)
		b.Text(PatientName, "Müller^Bella").Text(AccessionNumber, "1001").Empty(PregnancyStatus)
		b.Seq(ScheduledProcedureStepSequence, NewBuilder(s, Latin1).Text(Modality, "DX")).Charset()
		raw, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		set, err := Parse(raw, s, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Text(PatientName, set.Charset()); got != "Müller^Bella" {
			t.Errorf("name %q", got)
		}
		if got := set.Item(ScheduledProcedureStepSequence).String(Modality); got != "DX" {
			t.Errorf("modality %q", got)
		}
		if got := string(AppendSet(nil, s, set)); got != string(raw) {
			t.Errorf("rewritten\n%q\n%q", got, raw)
		}
	}
}

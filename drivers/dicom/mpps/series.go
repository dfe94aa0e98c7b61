package mpps

import "github.com/rayhound/rayhound/drivers/dicom/dataset"

// series reads the Performed Series Sequence. It returns nil when the sequence
// is absent and an empty list when it has no items.
func (p *parser) series(set *dataset.Set, text reader) []Series {
	if !set.Has(dataset.PerformedSeriesSequence) {
		return nil
	}
	items := set.Items(dataset.PerformedSeriesSequence)
	all := make([]Series, 0, len(items))
	for _, item := range items {
		t := p.text(item, &text)
		s := Series{
			SeriesInstanceUID: item.String(dataset.SeriesInstanceUID),
			Protocol:          t.value(dataset.ProtocolName),
			Operator:          t.value(dataset.OperatorsName),
			Description:       t.value(dataset.SeriesDescription),
			Instances:         instances(item),
		}
		if s == (Series{}) {
			p.note("a performed series without content")
			continue
		}
		if s.SeriesInstanceUID == "" {
			p.note("a performed series without a UID")
		}
		all = append(all, s)
	}
	return all
}

// instances counts the images and the other objects of a series. An object
// that is named twice counts once; one without a UID counts.
func instances(series *dataset.Set) int {
	n, seen := 0, map[string]bool{}
	for _, sequence := range []dataset.Tag{
		dataset.ReferencedImageSequence,
		dataset.ReferencedNonImageCompositeSOPInstanceSequence,
	} {
		for _, item := range series.Items(sequence) {
			uid := item.String(dataset.ReferencedSOPInstanceUID)
			if uid != "" && seen[uid] {
				continue
			}
			seen[uid] = true
			n++
		}
	}
	return n
}

package config

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// field is one setting, as its struct tags describe it.
type field struct {
	index   int
	name    string
	comment string
	inline  bool
	tag     reflect.StructTag
}

// fieldsOf returns the settings of a struct, in the order of the file.
func fieldsOf(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		sf := t.Field(i)
		name := sf.Tag.Get("toml")
		if name == "" {
			continue
		}
		all = append(all, field{
			index: i, name: name, comment: sf.Tag.Get("comment"), inline: sf.Tag.Get("inline") != "", tag: sf.Tag,
		})
	}
	return all
}

// applyDefaults sets every field of the struct p points to that is zero and has
// a default.
func applyDefaults(p any) { setDefaults(reflect.ValueOf(p).Elem()) }

func setDefaults(v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		fv := v.Field(f.index)
		if fv.Kind() == reflect.Struct {
			setDefaults(fv)
			continue
		}
		text, ok := f.tag.Lookup("default")
		if !ok || !fv.IsZero() {
			continue
		}
		switch {
		case fv.Type() == durationType:
			d, err := ParseDuration(text)
			if err != nil {
				panic("config: default of " + f.name + ": " + err.Error())
			}
			fv.SetInt(int64(d))
		case fv.Type() == namesType:
			fv.Set(reflect.ValueOf(Names(strings.Split(text, ","))))
		case fv.Kind() == reflect.Int:
			n, err := strconv.Atoi(text)
			if err != nil {
				panic("config: default of " + f.name + ": " + err.Error())
			}
			fv.SetInt(int64(n))
		default:
			fv.SetString(text)
		}
	}
}

// checkRanges adds a mistake for every field of v that is outside of its range
// or not one of its words.
func checkRanges(path string, v reflect.Value, errs *Errors) {
	for _, f := range fieldsOf(v.Type()) {
		fv := v.Field(f.index)
		at := join(path, f.name)
		switch {
		case fv.Kind() == reflect.Struct:
			checkRanges(at, fv, errs)
		case fv.Kind() == reflect.Slice && fv.Type() != namesType:
			for i := range fv.Len() {
				checkRanges(at+"["+strconv.Itoa(i+1)+"]", fv.Index(i), errs)
			}
		case fv.Kind() == reflect.String:
			checkWord(at, f, fv.String(), errs)
		case fv.Type() == durationType || fv.Kind() == reflect.Int:
			checkNumber(at, f, fv, errs)
		}
	}
}

func checkWord(at string, f field, s string, errs *Errors) {
	words, ok := f.tag.Lookup("oneof")
	if !ok {
		return
	}
	known := strings.Split(words, "|")
	if slices.Contains(known, s) {
		return
	}
	hint := ""
	if n := nearest(s, known); n != "" {
		hint = "did you mean " + n + "?"
	}
	quoted := make([]string, len(known))
	for i, k := range known {
		quoted[i] = strconv.Quote(k)
	}
	errs.add(at, hint, "%s is not one of %s", strconv.Quote(clip(s)), strings.Join(quoted, ", "))
}

func checkNumber(at string, f field, v reflect.Value, errs *Errors) {
	low, hasLow := f.tag.Lookup("min")
	high, hasHigh := f.tag.Lookup("max")
	number := func(s string) int64 {
		if v.Type() == durationType {
			d, err := ParseDuration(s)
			if err != nil {
				panic("config: range of " + f.name + ": " + err.Error())
			}
			return int64(d)
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			panic("config: range of " + f.name + ": " + err.Error())
		}
		return n
	}
	if hasLow && v.Int() < number(low) || hasHigh && v.Int() > number(high) {
		errs.add(at, "", "must be from %s to %s", low, high)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

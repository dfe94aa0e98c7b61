package config

import (
	"maps"
	"slices"
)

// CheckFields compares the names under [provet.fields] with those the driver
// knows, resource -> our field names, and returns what it does not know. It is
// apart from Validate because only the driver has the list.
func (f *File) CheckFields(known map[string][]string) Errors {
	var errs Errors
	resources := sortedKeys(known)
	for _, resource := range slices.Sorted(maps.Keys(f.Provet.Fields)) {
		at := "provet.fields." + resource
		names, ok := known[resource]
		if !ok {
			errs.add(at, meant(resource, resources), "there is no such resource")
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(f.Provet.Fields[resource])) {
			if !slices.Contains(names, name) {
				errs.add(at+"."+name, meant(name, names), "we read no such field")
			}
		}
	}
	for i := range errs {
		errs[i].Line = f.lines.of(errs[i].Key)
	}
	return errs
}

// meant is the hint for a wrong word.
func meant(word string, known []string) string {
	if n := nearest(word, known); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}

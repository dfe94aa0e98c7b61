package config

import "fmt"

// upgrade converts the generic form of a file to the newest format, one format
// after the other. Each format has a file of its own in this package; this is
// the first.
func upgrade(tree map[string]any) (map[string]any, Errors) {
	v, ok := tree["version"]
	if !ok {
		return tree, nil // files without the key are of version 1
	}
	n, ok := v.(int64)
	switch {
	case !ok:
		return nil, Errors{{Key: "version", Message: "expected a whole number, found " + describe(v)}}
	case n > Version:
		return nil, Errors{{
			Key: "version", Message: fmt.Sprintf("the file has format %d; this program knows %d", n, Version),
			Hint: "it was written by a newer version of Rayhound",
		}}
	case n < 1:
		return nil, Errors{{Key: "version", Message: fmt.Sprintf("there is no format %d", n)}}
	}
	return tree, nil
}

package hl7

// path is a place in a message. Everything counts from 1; 0 means not given.
type path struct {
	segment      string
	index        int // which segment of that name
	field        int
	repetition   int
	component    int
	subcomponent int
}

// parsePath reads "PID-5.2", "OBX(3)-5", "PID-3[2].1.1", "PID".
func parsePath(s string) (p path, ok bool) {
	if len(s) < 3 {
		return p, false
	}
	p.segment, p.index = s[:3], 1
	s = s[3:]
	if s != "" && s[0] == '(' {
		if p.index, s, ok = digits(s[1:]); !ok || s == "" || s[0] != ')' {
			return p, false
		}
		s = s[1:]
	}
	if s == "" {
		return p, true
	}
	if s[0] != '-' {
		return p, false
	}
	return parseFieldPath(p, s[1:])
}

// parseFieldPath reads "5.2", "3[2].1", "5.1.2" into p.
func parseFieldPath(p path, s string) (_ path, ok bool) {
	if p.field, s, ok = digits(s); !ok {
		return p, false
	}
	if s != "" && s[0] == '[' {
		if p.repetition, s, ok = digits(s[1:]); !ok || s == "" || s[0] != ']' {
			return p, false
		}
		s = s[1:]
	}
	for _, to := range []*int{&p.component, &p.subcomponent} {
		if s == "" {
			return p, true
		}
		if s[0] != '.' {
			return p, false
		}
		if *to, s, ok = digits(s[1:]); !ok {
			return p, false
		}
	}
	return p, s == ""
}

// maxPosition bounds every number of a path.
const maxPosition = 99_999

// digits reads a number from 1 at the beginning of s.
func digits(s string) (n int, rest string, ok bool) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		if n = n*10 + int(s[i]-'0'); n > maxPosition {
			return 0, s, false
		}
		i++
	}
	return n, s[i:], n > 0
}

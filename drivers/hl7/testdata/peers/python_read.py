# Reads a message in UTF-8 with python3-hl7 and prints every leaf, unescaped:
# [segment, index, field, repetition, component, subcomponent, text].
import json, sys, hl7
m = hl7.parse(open(sys.argv[1], "rb").read().decode("utf-8"))
out = []
for i, s in enumerate(m):
    name = str(s[0])
    for f in range(3 if name == "MSH" else 1, len(s)):
        field = s[f]
        for r in range(len(field)):
            rep = field[r]
            comps = rep if isinstance(rep, hl7.Repetition) else [rep]
            for c in range(len(comps)):
                comp = comps[c]
                subs = comp if isinstance(comp, hl7.Component) else [comp]
                for k in range(len(subs)):
                    if str(subs[k]):
                        out.append([name, i, f, r + 1, c + 1, k + 1, m.unescape(str(subs[k]))])
print(json.dumps(out))

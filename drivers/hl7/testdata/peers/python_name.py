# Reads a message with python3-hl7 in the character set of the second argument and
# prints the components of PID-5, unescaped, as JSON.
import json, sys, hl7
m = hl7.parse(open(sys.argv[1], "rb").read().decode(sys.argv[2]))
name = m.segment("PID")[5][0]
print(json.dumps([m.unescape(str(c)) for c in name]))

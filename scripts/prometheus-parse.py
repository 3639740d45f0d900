"""Parses an exposition on standard input by prometheus_client and writes what it understood, as JSON.

Argument: text (format 0.0.4) or openmetrics. A text that the parser refuses ends with its reason and exit code 1.
"""
import json
import sys

if sys.argv[1] == "openmetrics":
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
else:
    from prometheus_client.parser import text_string_to_metric_families as parse

text = sys.stdin.buffer.read().decode("utf-8")
families = []
for family in parse(text):
    samples = [{"name": s.name, "labels": s.labels, "value": str(float(s.value))} for s in family.samples]
    families.append({"name": family.name, "type": family.type, "help": family.documentation, "unit": family.unit,
                     "samples": samples})
json.dump(families, sys.stdout)

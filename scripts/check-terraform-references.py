"""Whether everything that infra/terraform refers to is there: what `terraform validate` would say first.

Variables, locals, resources, data sources and modules of each folder; arguments and outputs of each module; the names in
each template. Reads the text, not the types: a wrong attribute of a resource is not seen.
"""
import glob
import os
import re
import sys

faults = []


def block(text, start):
    """The text of the block whose opening brace follows `start`."""
    depth = 0
    opening = text.index("{", start)
    for at in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[opening + 1 : at]
    raise SystemExit("a block without its end")


def load(folder):
    text = "\n".join(open(path).read() for path in sorted(glob.glob(f"{folder}/*.tf")))
    # Comments and the text of descriptions may say anything.
    return re.sub(r"(?m)^\s*#.*$", "", re.sub(r'(?m)^\s*(description|error_message|sid|text)\s*=\s*".*"$', "", text))


def arguments(body):
    """Names given at the first level of a block."""
    depth, names = 0, set()
    for line in body.split("\n"):
        if depth == 0 and (found := re.match(r"\s*([a-z_0-9]+)\s*=", line)):
            names.add(found.group(1))
        depth += line.count("{") + line.count("[") + line.count("(") - line.count("}") - line.count("]") - line.count(")")
    return names


def variables(text):
    return {m.group(1): "default" in arguments(block(text, m.end())) for m in re.finditer(r'(?m)^variable "(\w+)" ', text)}


folders = sorted({os.path.dirname(path) for path in glob.glob("infra/terraform/**/*.tf", recursive=True)})
texts = {os.path.normpath(folder): load(folder) for folder in folders}

for folder, text in texts.items():
    declared = variables(text)
    local = set()
    for found in re.finditer(r"(?m)^locals ", text):
        local |= arguments(block(text, found.end()))
    managed = {f"{a}.{b}" for a, b in re.findall(r'(?m)^resource "(\w+)" "(\w+)"', text)}
    data = {f"{a}.{b}" for a, b in re.findall(r'(?m)^data "(\w+)" "(\w+)"', text)}
    modules = {m.group(1): block(text, m.end()) for m in re.finditer(r'(?m)^module "(\w+)" ', text)}

    def need(kind, name, known):
        if name not in known:
            faults.append(f"{folder}: {kind} {name} is not there")

    for name in set(re.findall(r"\bvar\.(\w+)", text)):
        need("variable", name, declared)
    for name in set(declared) - set(re.findall(r"\bvar\.(\w+)", text)):
        faults.append(f"{folder}: variable {name} is not used")
    for name in set(re.findall(r"\blocal\.(\w+)", text)):
        need("local", name, local)
    for name in set(re.findall(r"(?<![\w.-])data\.(\w+\.\w+)", text)):
        need("data source", name, data)
    for name in set(re.findall(r"(?<![\w.\"/-])(aws_\w+\.\w+)", text)):
        need("resource", name, managed)
    for name, body in modules.items():
        source = os.path.normpath(os.path.join(folder, re.search(r'source\s*=\s*"(.+)"', body).group(1)))
        wanted = variables(texts.get(source, ""))
        given = arguments(body) - {"source", "providers", "version", "for_each", "count", "depends_on"}
        for argument in given - set(wanted):
            faults.append(f"{folder}: module {name} takes no {argument}")
        for argument in {v for v, has_default in wanted.items() if not has_default} - given:
            faults.append(f"{folder}: module {name} needs {argument}")
        outputs = set(re.findall(r'(?m)^output "(\w+)"', texts.get(source, "")))
        for output in set(re.findall(rf"\bmodule\.{name}\.(\w+)", text)) - outputs:
            faults.append(f"{folder}: module {name} has no output {output}")
    for name in set(re.findall(r"\bmodule\.(\w+)\.", text)):
        need("module", name, modules)

    for call in re.finditer(r'templatefile\("([^"]+)", ', text):
        path = call.group(1).replace("${path.module}", folder).replace("${local.systemd}", "infra/systemd")
        template = open(os.path.normpath(path)).read()
        given = arguments("\n".join(block(text, call.end()).replace(", ", "\n").split("\n")))
        loops = set(re.findall(r"%\{ for (\w+)(?:, (\w+))? in", template))
        own = {name for pair in loops for name in pair}
        used = set(re.findall(r"(?<!\$)\$\{\s*(?:base64encode\()?(\w+)", template)) | set(re.findall(r" in (\w+) ~?\}", template))
        for missing in used - given - own:
            faults.append(f"{path}: {missing} is not given")

print("\n".join(sorted(faults)))
sys.exit(1 if faults else 0)

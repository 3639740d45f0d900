#!/usr/bin/env python3
"""Writes a program's manual pages from what its argument parser says of itself.

  manual.py PROGRAM FOLDER     FOLDER/ephemeral.1, FOLDER/ephemeral-submit.1, … (a page for each top command), and of
                               ephemeral FOLDER/../man5/ephemeral-daemon.yaml.5 from docs/operations/configuration.md

The same program gives the same bytes: the date is its commit's, or SOURCE_DATE_EPOCH's where it knows none.
"""
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap

CONFIGURATION = pathlib.Path(__file__).resolve().parent.parent / "docs/operations/configuration.md"

# What stands on no help screen.
FILES = [
    ("~/.config/ephemeral/", "Keys, trust profiles, ledger and config.yaml; $EPHEMERAL_HOME or --home name another place. "
     "Without it results cannot be opened: keep a copy."),
    ("./ephemeral.yaml", "Settings of a project: store, profile, model."),
]
ENVIRONMENT = [
    ("EPHEMERAL_STORE, EPHEMERAL_PROFILE, EPHEMERAL_MODEL", "Stand for --store, --profile and --model."),
    ("EPHEMERAL_HOME", "Where keys, trust profiles and ledger are."),
    ("EPHEMERAL_DAEMON_SOCKET", "The daemon's socket, for the operator's commands."),
    ("AWS_…", "Credentials of an s3:// store, as AWS's own tools take them."),
    ("NO_COLOR", "No colours on a terminal."),
]


def text(words):
    """Roff that shows these words as they are: ASCII only, no character with a meaning of its own."""
    out = []
    for character in words:
        if character == "\\":
            out.append("\\e")
        elif character == "-":
            out.append("\\-")
        elif character == "'":
            out.append("\\(aq")
        elif character == "`":
            out.append("\\(ga")
        elif character == "^":
            out.append("\\(ha")
        elif character == "~":
            out.append("\\(ti")
        elif character == '"':
            out.append("\\(dq")
        elif ord(character) > 126:
            out.append("\\[u%04X]" % ord(character))
        elif character == "\n" or ord(character) >= 32:
            out.append(character)
    return "".join("\\&" + line if line.startswith(".") else line for line in "".join(out).splitlines(True))


def prose(words):
    """A flowing paragraph, in which `code` is bold and a sentence ends its line, as roff wants it."""
    shown = "".join(
        "\\fB%s\\fR" % text(part) if index % 2 else text(part) for index, part in enumerate(words.split("`")))
    sentences = re.sub(r"(?<=[a-z0-9)][.?!]) +(?=[A-Z])", "\n", re.sub(r"\s*\n\s*", " ", shown).strip())
    lines = [line for sentence in sentences.split("\n") for line in textwrap.wrap(
        sentence, 80, break_long_words=False, break_on_hyphens=False)]
    return "\n".join("\\&" + line if line.startswith(".") else line for line in lines)


def verbatim(lines):
    return [".EX"] + [text(line) if line else "" for line in lines] + [".EE"]


class Discussion:
    """A help screen's long text: paragraphs, blocks that keep their lines, and examples."""

    def __init__(self, words):
        self.description, self.examples, self.exit_codes = [], [], []
        for paragraph in re.split(r"\n\s*\n", (words or "").strip("\n")):
            if not paragraph.strip():
                continue
            lines = paragraph.split("\n")
            if re.fullmatch(r"Examples?:", lines[0]):
                self.examples += [line[2:] if line.startswith("  ") else line for line in lines[1:]]
            elif lines[0].startswith("Exit codes: ") and re.match(r"Exit codes: \d+ ", lines[0]):
                words = " ".join(line.strip() for line in lines)[len("Exit codes: "):].rstrip(".")
                self.exit_codes = [item.split(" ", 1) for item in re.split(r",\s+(?=\d+ )", words)]
            else:
                self.add(lines)

    def add(self, lines):
        """Runs of lines that flow, and runs of lines that are indented or laid out in columns."""
        keeps = any(re.search(r"\S {2,}\S", line) for line in lines)
        run, run_keeps = [], None
        for line in lines + [None]:
            line_keeps = line is not None and (keeps or line.startswith("  "))
            if run and (line is None or line_keeps != run_keeps):
                if run_keeps:
                    indent = min(len(kept) - len(kept.lstrip()) for kept in run)
                    self.description += [".PP", ".RS 4"] + verbatim([kept[indent:] for kept in run]) + [".RE"]
                else:
                    self.description += [".PP", prose("\n".join(run))]
                run = []
            if line is not None:
                run.append(line)
                run_keeps = line_keeps


def shown(items):
    return [item for item in items if item.get("shouldDisplay", True)]


def name(argument_name):
    return ("--" if argument_name["kind"] == "long" else "-") + argument_name["name"]


def term(argument):
    if argument["kind"] == "positional":
        return "\\fI%s\\fR" % text(argument["valueName"])
    names = ", ".join("\\fB%s\\fR" % text(name(one)) for one in argument["names"])
    return names + (" \\fI%s\\fR" % text(argument["valueName"]) if argument["kind"] == "option" else "")


def synopsis(words, command):
    parts, has_options = [], False
    for argument in shown(command.get("arguments", [])):
        if argument["kind"] == "positional":
            part = term(argument) + ("\\ ..." if argument["isRepeating"] else "")
            parts.append("[%s]" % part if argument["isOptional"] else part)
        elif not argument["isOptional"] and argument["kind"] == "option":
            preferred = argument.get("preferredName") or argument["names"][0]
            parts.append("\\fB%s\\fR \\fI%s\\fR" % (text(name(preferred)), text(argument["valueName"])))
        else:
            has_options = True
    if shown(command.get("subcommands", [])):
        parts.append("\\fIcommand\\fR")
    head = "\\fB%s\\fR" % text(" ".join(words))
    return " ".join([head] + (["[\\fIoptions\\fR]"] if has_options else []) + parts)


def options(command):
    lines = []
    for argument in shown(command.get("arguments", [])):
        if argument.get("names") and {"help", "version"} & {one["name"] for one in argument["names"]}:
            continue
        words = argument.get("abstract", "")
        values = argument.get("allValues") or []
        if values and not all(value in words for value in values):
            words += " One of %s." % ", ".join("`%s`" % value for value in values)
        default = argument.get("defaultValue")
        if default and argument["kind"] != "flag" and "default" not in words:
            words += " Default: `%s`." % default
        lines += [".TP", term(argument), prose(words) or text(argument["valueName"])]
    return lines


def subcommands(words, command):
    """Each subcommand as a subsection with its own synopsis, text, options and examples."""
    lines = []
    for child in shown(command.get("subcommands", [])):
        path = words + [child["commandName"]]
        discussion = Discussion(child.get("discussion"))
        lines += [".SS %s" % text(" ".join(path)), synopsis(path, child), ".PP", prose(child.get("abstract", ""))]
        lines += discussion.description + options(child)
        if discussion.examples:
            lines += [".PP", "Examples:", ".PP", ".RS 4"] + verbatim(discussion.examples) + [".RE"]
        lines += subcommands(path, child)
    return lines


def blocks(markdown):
    """Paragraphs, tables, headings, and blocks of code with their opening line."""
    block, in_code = [], False
    for line in markdown.split("\n"):
        if line.startswith("```"):
            if not in_code and block:
                yield block
                block = []
            in_code = not in_code
            if in_code:
                block = [line]
            else:
                yield block
                block = []
        elif in_code:
            block.append(line)
        elif not line.strip() or line.startswith("#"):
            if block:
                yield block
            block = []
            if line.startswith("#"):
                yield [line]
        else:
            block.append(line)
    if block:
        yield block


def rows(table):
    """Each row as an entry of its own: the first cell with a word in it is the term."""
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table]
    lines = []
    for row in cells[2:]:
        at = next((index for index, cell in enumerate(row) if re.search("[A-Za-z]", cell)), 0)
        rest = list(zip(cells[0], row))[at + 1:]
        words = [cell for head, cell in rest if cell and head in ("", "meaning", "how")]
        words += ["%s: %s" % (head.capitalize(), cell) for head, cell in rest if cell and head not in ("", "meaning", "how")]
        lines += [".TP", prose(row[at]), prose(" ".join(word.rstrip(".") + "." for word in words))]
    return lines


class Manual:
    def __init__(self, program):
        def ask(flag):
            return subprocess.run([program, flag], check=True, capture_output=True, text=True).stdout

        self.root = json.loads(ask("--experimental-dump-help"))["command"]
        self.program = self.root["commandName"]
        # A program without a version of its own prints its help then, and ends with an error.
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
        self.version = version.splitlines()[0] if version else self.program
        date = re.search(r", (\d{4}-\d{2}-\d{2})\)", self.version)
        seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or pathlib.Path(program).stat().st_mtime)
        moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
        self.date = date.group(1) if date else moment.strftime("%Y-%m-%d")
        self.version = re.sub(r" \(.*", "", self.version)
        self.discussion = Discussion(self.root.get("discussion"))

    def head(self, title, abstract):
        return [
            ".\\\" Made by scripts/manual.py from %s --experimental-dump-help." % self.program,
            '.TH "%s" "1" "%s" "%s" "%s manual"' % (text(title.upper()), self.date, text(self.version), self.program),
            # Ragged and without hyphens, so that a command or a path is never torn apart.
            ".nh", ".ad l",
            ".SH NAME", "%s \\-" % text(title), prose(abstract).rstrip("."),
            ".SH SYNOPSIS",
        ]

    def end(self, others):
        lines = []
        if self.discussion.exit_codes:
            lines.append(".SH EXIT STATUS")
            for code, words in self.discussion.exit_codes:
                lines += [".TP", "\\fB%s\\fR" % code, prose(words)]
        names = ["\\fB%s\\fR(1)" % text(other) for other in others]
        if names:
            lines += [".SH SEE ALSO", ",\n".join(names)]
        return lines

    def page(self, command):
        """One top command: `ephemeral submit`, or `ephemeral receipts` with all of its subcommands."""
        words = [self.program, command["commandName"]]
        discussion = Discussion(command.get("discussion"))
        lines = self.head("-".join(words), command.get("abstract", ""))
        children = shown(command.get("subcommands", []))
        for child in children:
            lines += [synopsis(words + [child["commandName"]], child), ".br"]
        if not children:
            lines.append(synopsis(words, command))
        elif lines[-1] == ".br":
            lines.pop()
        # A section begins with its text, not with the macro that parts paragraphs.
        lines += [".SH DESCRIPTION", prose(command.get("abstract", ""))] + discussion.description
        own = options(command)
        if own:
            lines += [".SH OPTIONS"] + own
        if children:
            lines += [".SH COMMANDS"] + subcommands(words, command)
        if discussion.examples:
            lines += [".SH EXAMPLES"] + verbatim(discussion.examples)
        others = [other["commandName"] for other in self.commands() if other is not command]
        near = [self.program] + [
            "%s-%s" % (self.program, other) for other in others if re.search(r"`?%s %s\b" % (self.program, other),
                                                                             json.dumps(command))]
        return self.write(lines + self.end(near))

    def front(self):
        """The program's own page."""
        lines = self.head(self.program, self.root.get("abstract", ""))
        lines += [synopsis([self.program], self.root), ".SH DESCRIPTION", prose(self.root.get("abstract", ""))]
        lines += self.discussion.description + [".SH COMMANDS"]
        for command in self.commands():
            page = "%s-%s" % (self.program, command["commandName"])
            lines += [".TP", "\\fB%s\\fR(1)" % text(page), prose(command.get("abstract", ""))]
        lines += [".PP", "Each takes", "\\fB\\-\\-help\\fR,", "and so does each of its own commands."]
        if self.discussion.examples:
            lines += [".SH EXAMPLES"] + verbatim(self.discussion.examples)
        if self.program == "ephemeral":
            for title, table in (("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
                lines.append(".SH " + title)
                for key, words in table:
                    lines += [".TP", "\\fB%s\\fR" % text(key), prose(words)]
        return self.write(lines + self.end(
            ["%s-%s" % (self.program, command["commandName"]) for command in self.commands()]))

    def document(self, path, title, abstract):
        """A page of section 5 from one of the documents: headings, paragraphs, tables, lists and blocks of code."""
        lines = [line.replace('"1"', '"5"', 1) if line.startswith(".TH") else line for line in self.head(title, abstract)]
        lines = lines[:-1] + [".SH DESCRIPTION"]
        for block in blocks(path.read_text()):
            first = block[0]
            if first.startswith("```"):
                lines += [".PP", ".RS 4"] + verbatim(block[1:]) + [".RE"]
            elif first.startswith("## "):
                lines.append(".SH " + text(first[3:].upper()))
            elif first.startswith("### "):
                lines.append(".SS " + text(first[4:]))
            elif first.startswith("|"):
                lines += rows(block)
            elif not first.startswith("# "):
                lines += [".PP", prose("\n".join(block))]
        # A section begins with its text, not with the macro that parts paragraphs.
        lines = [line for at, line in enumerate(lines) if line != ".PP" or not lines[at - 1].startswith((".SH", ".SS"))]
        lines += [".SH SEE ALSO", "\\fB%s\\-daemon\\fR(1)" % self.program]
        return self.write(lines)

    def commands(self):
        return [command for command in shown(self.root.get("subcommands", [])) if command["commandName"] != "help"]

    @staticmethod
    def write(lines):
        return "\n".join(line for line in lines if line != "") + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, folder = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2])
    manual = Manual(program)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (manual.program + ".1")).write_text(manual.front())
    for command in manual.commands():
        (folder / ("%s-%s.1" % (manual.program, command["commandName"]))).write_text(manual.page(command))
    if manual.program == "ephemeral":
        section = folder.parent / "man5"
        section.mkdir(exist_ok=True)
        (section / "ephemeral-daemon.yaml.5").write_text(
            manual.document(CONFIGURATION, "ephemeral-daemon.yaml", "settings of the daemon"))


if __name__ == "__main__":
    main()

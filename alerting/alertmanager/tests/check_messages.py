#!/usr/bin/env python3
"""Looks through rendered messages: python3 check_messages.py FIXTURES RENDERED

Customers must not be shown anything internal: no label, no host, no URL, no word of ours. HTML must load nothing and must
not let text of an alert become markup.
"""

import html.parser
import json
import pathlib
import re
import sys

# What customers may read of an alert: its name for them, and the operator's own words.
PUBLIC = {"customer_name", "customer_regions", "customer_services", "customer_services_more", "notice_cause", "notice_action", "notice_next_update"}
JARGON = (
    "alert|target|prometheus|exporter|probe|vantage|label|severity|scope|"
    "http|https|tls|ssl|dns|tcp|icmp|grpc|port|proxy|null|nil|no value|[a-z]+_[a-z_]+"
)
TAGS = {"html", "head", "meta", "style", "title", "body", "table", "tr", "td", "h1", "h2", "p", "a", "br", "strong", "span"}


def internals(data):
    """Everything in the notification that is not for customers."""
    for alert in data["alerts"]:
        # The word "true" and the like are not secrets, but have no place in a message either.
        yield from alert["labels"].values()
        for name, value in alert["annotations"].items():
            if name not in PUBLIC:
                yield value
                yield from re.findall(r"//([^/:]+)", value)
                yield from (part.strip() for part in value.split(","))
        yield alert["generatorURL"]
        yield from re.findall(r"//([^/:]+)", alert["generatorURL"])
    yield data["externalURL"]
    yield from re.findall(r"//([^/:]+)", data["externalURL"])


def for_customers(name, data, text, problems):
    # The operator's words are the operator's affair.
    for alert in data["alerts"]:
        for key in sorted(PUBLIC):
            text = text.replace(alert["annotations"].get(key) or "\0", "")
    for value in set(internals(data)):
        if value and re.search(rf"(?<![\w-]){re.escape(value)}(?![\w-])", text):
            problems.append(f"{name}: customers are shown {value!r}")
    for word in re.findall(rf"(?i)\b(?:{JARGON})s?\b|://|<no value>", text):
        problems.append(f"{name}: {word!r} is no word for customers")


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.problems, self.text, self.links, self.open = [], [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in TAGS:
            self.problems.append(f"a tag <{tag}> that the template does not have")
        if tag not in ("meta", "br"):
            self.open.append(tag)
        for key, value in attributes:
            if key in ("src", "background", "srcset") or key.startswith("on") or "url(" in (value or ""):
                self.problems.append(f"<{tag} {key}={value!r}> loads or runs something")
            if key == "href":
                self.links.append(value)
                if not re.match(r"https?://", value):
                    self.problems.append(f"a link to {value!r}")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes another tag")

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            if re.search(r"@import|url\(|expression", data):
                self.problems.append("the style sheet loads something")
        else:
            self.text.append(data)


def main():
    fixtures, rendered = map(pathlib.Path, sys.argv[1:])
    problems, checked = [], 0
    for path in sorted(rendered.iterdir()):
        fixture, audience, kind = path.name.split(".")
        data = json.loads((fixtures / f"{fixture}.json").read_text())
        text = path.read_text()
        checked += 1
        if kind == "html":
            page = Page()
            page.feed(text)
            page.close()
            if page.open:
                page.problems.append(f"{page.open} stay open")
            if audience == "customers" and page.links:
                page.problems.append(f"links: {page.links}")
            problems += [f"{path.name}: {problem}" for problem in page.problems]
            text = re.sub(r"\s+", " ", " ".join(page.text))
        if re.search(r"<no value>|ZgotmplZ|%!", text):
            problems.append(f"{path.name}: a hole in the template")
        if audience == "customers":
            for_customers(path.name, data, text, problems)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems or not checked:
        sys.exit(f"FAILED: {len(problems)} problems in {checked} messages")


if __name__ == "__main__":
    main()

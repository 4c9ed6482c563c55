"""One colour a meaning, on every dashboard. Names of Grafana's palette follow the light and the dark theme."""

GOOD = "green"
PARTLY = "orange"
BAD = "semi-dark-red"
NOTE = "yellow"
MAINTENANCE = "blue"
UNKNOWN = "#8e8e9c"
PLAIN = "text"

# Phases of a run, in their order; the same on every chart.
PHASES = {
    "resolve": "super-light-blue",
    "setup": "super-light-purple",
    "connect": "light-blue",
    "tls": "purple",
    "processing": "yellow",
    "request": "yellow",
    "check": "yellow",
    "rtt": "yellow",
    "transfer": "green",
}

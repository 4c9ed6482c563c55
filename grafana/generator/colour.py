"""One colour a meaning, on every dashboard. Names of Grafana's palette follow the light and the dark theme."""

GOOD = "green"
PARTLY = "orange"
BAD = "semi-dark-red"
NOTE = "yellow"
MAINTENANCE = "blue"
UNKNOWN = "#8e8e9c"
PLAIN = "text"

# Phases of a run, whatever the prober, in their order: Paul Tol's schemes bright, muted and vibrant, which people who see colours
# otherwise can tell apart. The exporter's own pages have the same table.
PHASES = {
    "resolve": "#4477aa",
    "setup": "#bbbbbb",
    "connect": "#66ccee",
    "tls": "#aa3377",
    "processing": "#ccbb44",
    "request": "#999933",
    "check": "#ee7733",
    "rtt": "#44aa99",
    "transfer": "#228833",
}

"""What the dashboards ask for and the exporter or the rules do not give yet. To be emptied when it lands.

Until then a stand-in gives it, so that the queries are held against data of the right shape; the tests say so aloud. When a name
turns up in README's table or in the recording rules, they say that too: give it to the scenario (scenario.py) and take it out here.
"""

# Families of targets: labels besides those of the target. The stand-in has each with the value 1 for each target and region.
METRICS = {}

# Labels of families that are there already.
LABELS = {}

# Recorded series.
RECORDED = {}

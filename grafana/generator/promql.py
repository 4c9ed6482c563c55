"""Pieces of PromQL that several dashboards use. Labels are the contract of the metric table in README."""

# The targets that the variables of a dashboard choose. The name of the grouping label is a constant of the dashboard.
CHOSEN = 'region=~"$region",$group_label=~"$group",target=~"$target"'
# The same for recorded series, which are over all regions.
CHOSEN_RECORDED = '$group_label=~"$group",target=~"$target"'
# The page of one target.
ONE = 'region=~"$region",target="$target"'
# Targets that customers may hear of, as alerting/alertmanager has it. The status page has no variables.
PUBLIC = 'public="true"'


def series(metric, scope, *matchers):
    """A selector: series("probe_up", PUBLIC) is probe_up{public="true"}."""
    return f"{metric}{{{','.join([scope, *matchers])}}}"


def certificate_end(scope):
    """When clients begin to refuse the chain: the end of the last one that verified, else of the first certificate."""
    return f"({series('probe_ssl_last_chain_expiry_timestamp_seconds', scope)} > 0 or {series('probe_ssl_earliest_cert_expiry', scope)})"


def state(scope):
    """A number for each target, to panel.STATE: up, unknown, in maintenance, down from some regions, down from all."""
    up = series("probe_up", scope)
    return (
        f"2 * ({window(scope)})\n"
        f"or\n"
        f"3 * (min by (target) ({up}) == bool 0) + (max by (target) ({up}) == bool 0)\n"
        f"or\n"
        f"max by (target) ({series('probe_target_info', scope)})"
    )


def window(scope):
    """Targets that are in maintenance: probing goes on, but what is down counts against nobody."""
    return f"max by (target) ({series('probe_maintenance', scope)}) == 1"


def outside_maintenance(expression, scope):
    return f"({expression}) unless on (target) ({window(scope)})"


def optional(metric, scope, label, by=("target", "region"), every="probe_target_info"):
    """Always 1, with `label` where `metric` has it, and without for the rest of `every`, so that a join drops nothing.

    topk keeps the join one-to-one when two exporters of a region disagree.
    """
    keys = ", ".join(by)
    return (
        f"(topk by ({keys}) (1, max by ({keys}, {label}) ({series(metric, scope)} == 1))"
        f" or on ({keys}) 1 + 0 * max by ({keys}) ({series(every, scope)}))"
    )


def joined(left, right, label, by=("target", "region")):
    """`left` with `label` of `right`, which is 1 throughout."""
    return f"{left}\n* on ({', '.join(by)}) group_left ({label}) {right}"


def info(scope, label, by=("target", "region")):
    """Always 1, with one label of probe_target_info."""
    keys = ", ".join(by)
    return f"topk by ({keys}) (1, max by ({keys}, {label}) ({series('probe_target_info', scope)}))"


def annotated(left, metric, scope, labels):
    """`left`, by target and region, with labels of a metric that is 1, where it has them."""
    return joined(left, optional(metric, scope, labels), labels)


def share(part, *others):
    """part / (part + others), each an expression over the same labels; nothing where all of them are 0."""
    return f"{part}\n/\n((\n  {part}\n" + "".join(f"  + {other}\n" for other in others) + ") > 0)"


def seconds(kind, scope, window, by):
    """Seconds of one kind (up, down, unknown, maintenance) within the window."""
    return f"sum by ({by}) (increase({series(f'probe_{kind}_seconds_total', scope)}[{window}]))"


def at_end(expression):
    """The value at the end of the range at every step: for choosing which series a chart shows."""
    return expression.replace("[$__range]", "[$__range] @ end()")

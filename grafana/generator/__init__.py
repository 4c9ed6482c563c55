"""The dashboards, as Python: `dashboard` and `panel` know Grafana's JSON, `promql` knows our metrics, the rest say what is shown."""

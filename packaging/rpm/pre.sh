getent group uptime_exporter >/dev/null || groupadd -r uptime_exporter
getent passwd uptime_exporter >/dev/null ||
    useradd -r -g uptime_exporter -d /var/lib/uptime_exporter -M -s /usr/sbin/nologin uptime_exporter
exit 0

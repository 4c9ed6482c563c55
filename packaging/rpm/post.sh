chown root:uptime_exporter /etc/uptime_exporter
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    if [ "$1" -eq 1 ]; then
        systemctl preset uptime_exporter.service || :
    fi
fi

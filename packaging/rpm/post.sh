if [ "$1" -eq 1 ]; then
    # The config may have secrets.
    chown root:uptime_exporter /etc/uptime_exporter
    chmod 0750 /etc/uptime_exporter
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    if [ "$1" -eq 1 ]; then
        systemctl preset uptime_exporter.service || :
    fi
fi

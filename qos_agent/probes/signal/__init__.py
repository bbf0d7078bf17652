"""What reads a modem: ModemManager's mmcli, or AT commands on a serial port."""

"""Radio signal of a modem, read with ModemManager's mmcli or with AT commands."""

"""The probe of the device itself: CPU, memory, disk, temperature, power supply."""

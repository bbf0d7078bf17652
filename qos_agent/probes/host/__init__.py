"""The device itself: processor, memory, disk, temperature and power supply."""

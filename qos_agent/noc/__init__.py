"""The operations centre: who should report, who does, national sums, a simulator."""

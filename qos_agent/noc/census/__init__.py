"""Who should report, who does, and how they are judged: counted each minute."""

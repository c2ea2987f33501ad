"""What the measured rows say: figures, validity, objectives, verdict, and the faces of the report."""

"""What judging is measured with: photos, right answers, the machine's own rates, its free time."""

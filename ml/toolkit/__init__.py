"""Pure maths, of no family: windows, splits, metrics, intervals, boosting, text, intermittent demand."""

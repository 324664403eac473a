package main

import (
	"fmt"
	"strings"
)

// row is a figure, what it is held against and what it should be.
type row struct {
	what, against string
	figure, base  float64 // per second, unless unit says otherwise
	unit          string
	ratio         bool
	least, most   float64 // of the ratio, or of the figure; 0: no bound
	floor         float64 // of the figure, beside a ratio
}

func (r row) met() bool {
	v := r.figure
	if r.ratio {
		v = r.figure / r.base
	}
	return (r.least == 0 || v >= r.least) && (r.most == 0 || v <= r.most) && r.figure >= r.floor
}

func (r row) cells() []string {
	bound := ""
	switch {
	case r.floor > 0:
		bound = fmt.Sprintf("≥ %.2f, ≥ %.0f/s", r.least, r.floor)
	case r.least > 0:
		bound = fmt.Sprintf("≥ %.2f", r.least)
	case r.most > 0:
		bound = strings.TrimSpace(fmt.Sprintf("≤ %.3g %s", r.most, r.unit))
	}
	verdict := "yes"
	if !r.met() {
		verdict = "NO"
	}
	if !r.ratio {
		return []string{r.what, strings.TrimSpace(fmt.Sprintf("%.1f %s", r.figure, r.unit)), "", "", "", bound, verdict}
	}
	return []string{
		r.what, fmt.Sprintf("%.0f/s", r.figure), r.against, fmt.Sprintf("%.0f/s", r.base),
		fmt.Sprintf("%.2f", r.figure/r.base), bound, verdict,
	}
}

func (b *bench) table() string {
	var s strings.Builder
	line := func(cells []string) { fmt.Fprintf(&s, "| %s |\n", strings.Join(cells, " | ")) }
	line([]string{"what", "figure", "against", "figure", "ratio", "wanted", "met"})
	line([]string{"---", "---", "---", "---", "---", "---", "---"})
	for _, r := range b.rows {
		line(r.cells())
	}
	return s.String()
}

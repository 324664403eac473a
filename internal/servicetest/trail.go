package servicetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
)

// Trail stores what was noted, checks the whole audit trail and returns it in order of time.
func (w *World) Trail(t testing.TB) (records []reset.AuditRecord) {
	t.Helper()
	must(t, w.Recorder.Flush(t.Context()))
	report, err := reset.Verify(t.Context(), w.Store, []*reset.Chain{w.Chain}, nil)
	must(t, err)
	if len(report.Findings) > 0 {
		t.Errorf("the audit trail does not hold: %+v", report.Findings)
	}
	records, err = w.Store.AuditNewest(t.Context(), 1_000_000)
	must(t, err)
	return slices.DeleteFunc(records, func(r reset.AuditRecord) bool { return r.What == reset.ActBegun })
}

// Acts are the trail's records in short: what, who, outcome.
func (w *World) Acts(t testing.TB) (acts []string) {
	t.Helper()
	for _, r := range w.Trail(t) {
		acts = append(acts, strings.Join(strings.Fields(r.What+" "+r.Who+" "+r.Outcome), " "))
	}
	return acts
}

package reset

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AuditTrail is the audit trail as it is read.
type AuditTrail interface {
	AuditFamilies(ctx context.Context) ([]AuditFamily, error)
	// AuditStreams lists the heads, by number.
	AuditStreams(ctx context.Context) ([]AuditStream, error)
	// AuditHeadless lists streams that have records and no head.
	AuditHeadless(ctx context.Context) ([]int64, error)
	// AuditRecords returns a stream's records behind a place, in order, at most limit.
	AuditRecords(ctx context.Context, stream, after int64, limit int) ([]AuditRecord, error)
	// AuditSince returns the records of all streams behind a place, in order of
	// time, stream and number, at most limit.
	AuditSince(ctx context.Context, after AuditPlace, limit int) ([]AuditRecord, error)
	// AuditNewest returns the newest records of all streams, in the same order, at most limit.
	AuditNewest(ctx context.Context, limit int) ([]AuditRecord, error)
}

// AuditPlace is a place between records in the order of time, stream and number.
type AuditPlace struct {
	At          time.Time
	Stream, Seq int64
}

// Place is the place just behind the record.
func (r AuditRecord) Place() AuditPlace { return AuditPlace{r.At, r.Stream, r.Seq} }

// AuditHead is how far a stream went at some time: kept elsewhere, it finds
// what nothing inside of the database can, that all of it was put back.
type AuditHead struct {
	Event  string `json:"event"` // always "audit.head"
	Family string `json:"family"`
	Stream int64  `json:"stream"`
	Seq    int64  `json:"seq"`
	Seal   string `json:"seal"` // in hexadecimal
}

// EventHead is the event of lines that tell heads.
const EventHead = "audit.head"

// Heads returns the heads as they are.
func Heads(ctx context.Context, t AuditTrail) ([]AuditHead, error) {
	streams, err := t.AuditStreams(ctx)
	heads := make([]AuditHead, len(streams))
	for i, s := range streams {
		heads[i] = AuditHead{EventHead, s.Family, s.Stream, s.Seq, hex.EncodeToString(s.Seal)}
	}
	return heads, err
}

// AuditFinding is something that was changed.
type AuditFinding struct {
	Stream  int64  `json:"stream,omitempty"`
	Seq     int64  `json:"seq,omitempty"`
	Problem string `json:"problem"`
}

// AuditReport is what a verification found.
type AuditReport struct {
	Streams  int            `json:"streams"`
	Records  int64          `json:"records"`
	Oldest   time.Time      `json:"oldest"`
	Findings []AuditFinding `json:"findings"`
}

const (
	verifyPage = 1000
	// mostFindings is how many a stream has at most: where one is wrong all may be.
	mostFindings = 20
	// verifyTries is how often a stream is looked at that moved on while it was.
	verifyTries = 3
)

// Verify holds the trail against its seals. The first chain is the one in
// force, the others are of former secrets; known are heads from earlier. Others
// may write meanwhile.
func Verify(ctx context.Context, t AuditTrail, chains []*Chain, known []AuditHead) (AuditReport, error) {
	v := &verifier{trail: t, chains: chains, removed: make(map[string]bool)}
	v.known = make(map[int64]map[int64]AuditHead)
	for _, h := range known {
		if v.known[h.Stream] == nil {
			v.known[h.Stream] = make(map[int64]AuditHead)
		}
		v.known[h.Stream][h.Seq] = h
	}
	err := v.run(ctx)
	return v.report, err
}

// VerifyHeads is Verify for heads alone, which takes no time however long the
// trail is. What was sealed with a secret that is not at hand it passes over.
func VerifyHeads(ctx context.Context, t AuditTrail, chains []*Chain) (AuditReport, error) {
	v := &verifier{trail: t, chains: chains, lenient: true}
	_, streams, err := v.overview(ctx)
	for _, s := range streams {
		if c := v.chain(s.Family); c != nil && !c.holdsStream(s) {
			v.add(s.Stream, 0, "its head was changed")
		}
		v.report.Records += s.Seq - s.First + 1
	}
	return v.report, err
}

type verifier struct {
	trail   AuditTrail
	chains  []*Chain
	lenient bool                          // about secrets that are not at hand
	known   map[int64]map[int64]AuditHead // by stream and number
	report  AuditReport

	former  []string        // families that were there when another began
	removed map[string]bool // those of them that were purged
}

func (v *verifier) add(stream, seq int64, format string, args ...any) {
	v.report.Findings = append(v.report.Findings, AuditFinding{stream, seq, fmt.Sprintf(format, args...)})
}

func (v *verifier) chain(family string) *Chain {
	for _, c := range v.chains {
		if c.family == family {
			return c
		}
	}
	return nil
}

func (v *verifier) run(ctx context.Context) error {
	families, streams, err := v.overview(ctx)
	if err != nil {
		return err
	}
	headless, err := v.trail.AuditHeadless(ctx)
	if err != nil {
		return err
	}
	for _, stream := range headless {
		v.add(stream, 0, "its head was removed, and its records are still there")
	}
	for _, s := range streams {
		if err := v.stream(ctx, s.Stream); err != nil {
			return err
		}
	}
	v.missing(families, streams)
	return nil
}

// overview reads families and streams, and checks that none of them is missing.
func (v *verifier) overview(ctx context.Context) (families []AuditFamily, streams []AuditStream, err error) {
	var faults []AuditFinding
	for range verifyTries { // a stream may begin in between
		if families, err = v.trail.AuditFamilies(ctx); err != nil {
			return nil, nil, err
		}
		if streams, err = v.trail.AuditStreams(ctx); err != nil {
			return nil, nil, err
		}
		if faults = v.count(families, streams); len(faults) == 0 {
			break
		}
	}
	v.report.Findings = append(v.report.Findings, faults...)
	v.report.Streams = len(streams)
	return families, streams, nil
}

// count holds families against streams.
func (v *verifier) count(families []AuditFamily, streams []AuditStream) (faults []AuditFinding) {
	add := func(stream int64, format string, args ...any) {
		faults = append(faults, AuditFinding{Stream: stream, Problem: fmt.Sprintf(format, args...)})
	}
	if len(families) == 0 && len(streams) == 0 {
		add(0, "there is no audit trail at all, and every database that this release has opened has one: it was removed")
	}
	found := make(map[string]int64)
	for _, s := range streams {
		found[s.Family]++
	}
	for _, f := range families {
		c, n := v.chain(f.Family), found[f.Family]
		delete(found, f.Family)
		switch {
		case c == nil && v.lenient:
		case c == nil:
			add(0, "what was sealed with a secret that is not at hand cannot be checked (family %s, streams: %d)", f.Family, n)
		case !c.holdsFamily(f):
			add(0, "the number of streams was changed (family %s)", f.Family)
		case n != f.Streams:
			add(0, "there are %d streams and should be %d: some were removed or added (family %s)", n, f.Streams, f.Family)
		}
	}
	for _, s := range streams {
		if _, orphan := found[s.Family]; orphan {
			add(s.Stream, "it belongs to no family that is there")
		}
	}
	if len(families) > 0 && !slices.ContainsFunc(families, func(f AuditFamily) bool { return f.Family == v.chains[0].family }) {
		add(0, "nothing was sealed with the secret that is in force (family %s)", v.chains[0].family)
	}
	return faults
}

// missing tells what should be there and is not.
func (v *verifier) missing(families []AuditFamily, streams []AuditStream) {
	for _, name := range v.former {
		if !v.removed[name] && !slices.ContainsFunc(families, func(f AuditFamily) bool { return f.Family == name }) {
			v.add(0, 0, "everything that was sealed with a former secret was removed (family %s)", name)
		}
	}
	for stream, heads := range v.known {
		for _, h := range heads {
			if !v.removed[h.Family] && !slices.ContainsFunc(streams, func(s AuditStream) bool { return s.Stream == stream && s.Family == h.Family }) {
				v.add(stream, h.Seq, "it was there when the heads were kept, and is gone")
				break
			}
		}
	}
}

// stream checks one stream. What is found counts if the stream has not moved on meanwhile.
func (v *verifier) stream(ctx context.Context, number int64) error {
	var w *walk
	for range verifyTries {
		before, ok, err := v.head(ctx, number)
		if err != nil || !ok {
			return err // it was purged
		}
		c := v.chain(before.Family)
		if c == nil {
			return nil // told of already
		}
		w = &walk{chain: c, head: before, known: v.known[number]}
		if err := w.run(ctx, v.trail); err != nil {
			return err
		}
		after, _, err := v.head(ctx, number)
		if err != nil {
			return err
		}
		if len(w.findings) == 0 || hmac.Equal(before.MAC, after.MAC) {
			break
		}
	}
	v.report.Records += w.records
	if !w.oldest.IsZero() && (v.report.Oldest.IsZero() || w.oldest.Before(v.report.Oldest)) {
		v.report.Oldest = w.oldest
	}
	v.report.Findings = append(v.report.Findings, w.findings...)
	v.former = append(v.former, w.former...)
	for _, name := range w.removed {
		v.removed[name] = true
	}
	return nil
}

func (v *verifier) head(ctx context.Context, number int64) (AuditStream, bool, error) {
	streams, err := v.trail.AuditStreams(ctx)
	for _, s := range streams {
		if s.Stream == number {
			return s, true, err
		}
	}
	return AuditStream{}, false, err
}

// walk goes along one stream.
type walk struct {
	chain *Chain
	head  AuditStream
	known map[int64]AuditHead

	next     int64  // the number that should come
	before   []byte // the seal of the one before; nil if that one is missing
	records  int64
	oldest   time.Time
	findings []AuditFinding
	former   []string
	removed  []string
}

func (w *walk) add(seq int64, format string, args ...any) {
	if len(w.findings) == mostFindings {
		w.findings = append(w.findings, AuditFinding{w.head.Stream, 0, "and more"})
	}
	if len(w.findings) < mostFindings {
		w.findings = append(w.findings, AuditFinding{w.head.Stream, seq, fmt.Sprintf(format, args...)})
	}
}

func (w *walk) run(ctx context.Context, t AuditTrail) error {
	if !w.chain.holdsStream(w.head) {
		w.add(0, "its head was changed, so what is missing at its ends cannot be told")
	}
	w.next, w.before = w.head.First, w.head.Before
	for after := int64(-1 << 62); ; {
		page, err := t.AuditRecords(ctx, w.head.Stream, after, verifyPage)
		if err != nil {
			return err
		}
		for i := range page {
			w.step(&page[i])
		}
		if len(page) < verifyPage {
			break
		}
		after = page[len(page)-1].Seq
	}
	if w.next <= w.head.Seq {
		w.gap(w.head.Seq+1, "the end was cut off")
	}
	for seq, h := range w.known {
		if h.Family == w.head.Family && seq > w.head.Seq {
			w.add(seq, "it went this far when the heads were kept, and ends at %d now: it was put back to an earlier state", w.head.Seq)
		}
	}
	return nil
}

// step checks one record.
func (w *walk) step(r *AuditRecord) {
	w.records++
	if w.oldest.IsZero() {
		w.oldest = r.At
	}
	switch {
	case r.Seq < w.next:
		w.add(r.Seq, "it stands before the beginning of the stream")
		return
	case r.Seq > w.next:
		w.gap(r.Seq, "taken out")
	}
	intact := w.before != nil && hmac.Equal(r.Seal, w.chain.seal(r, w.before))
	if !intact && w.before != nil {
		w.add(r.Seq, "it was changed, exchanged or added")
	}
	if r.Seq == w.head.Seq && !hmac.Equal(r.Seal, w.head.Seal) {
		w.add(r.Seq, "it is not the record that the head ends with")
	}
	if h, ok := w.known[r.Seq]; ok && h.Family == w.head.Family && h.Seal != hex.EncodeToString(r.Seal) {
		w.add(r.Seq, "it is another record than when the heads were kept")
	}
	w.next, w.before = r.Seq+1, r.Seal
	if intact {
		w.heed(r)
	}
}

// gap tells of records that are not there, up to one that is.
func (w *walk) gap(until int64, what string) {
	if until-1 == w.next {
		w.add(w.next, "it is missing: %s", what)
	} else {
		w.add(w.next, "it and those up to %d are missing: %s", until-1, what)
	}
	w.before = nil
}

// heed takes up what the trail says of itself.
func (w *walk) heed(r *AuditRecord) {
	switch r.What {
	case ActBroken:
		w.add(r.Seq, "it says that something was found changed at %s: %s", r.At.Format(time.RFC3339), r.Details)
	case ActBegun:
		w.former = append(w.former, detailsNamed(r.Details, detailFormer)...)
	case ActRemoved:
		w.removed = append(w.removed, detailsNamed(r.Details, detailFormer)...)
	}
}

// detailsNamed returns the words of the value of that name.
func detailsNamed(details, name string) []string {
	var pairs map[string]string
	if json.Unmarshal([]byte(details), &pairs) != nil {
		return nil
	}
	return strings.Fields(pairs[name])
}

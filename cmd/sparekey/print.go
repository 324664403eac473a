package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// printList prints items as a table or, if asJSON, as an array, which is never null.
func printList[T any](w io.Writer, asJSON bool, items []T, header []string, row func(T) []string) error {
	if asJSON {
		if items == nil {
			items = []T{}
		}
		return printJSON(w, items)
	}
	rows := make([][]string, len(items))
	for i, item := range items {
		rows[i] = row(item)
	}
	return printTable(w, header, rows)
}

// printTable prints rows in columns under a header.
func printTable(w io.Writer, header []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if err := printRow(t, header); err != nil {
		return err
	}
	for _, row := range rows {
		if err := printRow(t, row); err != nil {
			return err
		}
	}
	return t.Flush()
}

func printRow(w io.Writer, cells []string) error {
	shown := make([]string, len(cells))
	for i, cell := range cells {
		if shown[i] = visible(cell); cell == "" {
			shown[i] = "-"
		}
	}
	_, err := fmt.Fprintln(w, strings.Join(shown, "\t"))
	return err
}

// printJSON prints v, indented, with everything escaped that visible escapes.
func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	return printEscaped(w, b.String())
}

// printLine prints v as JSON in one line.
func printLine(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	return printEscaped(w, b.String())
}

// printEscaped prints JSON with everything escaped that visible escapes.
func printEscaped(w io.Writer, text string) error {
	var out strings.Builder
	for _, r := range text {
		// Outside of strings JSON has no such character but the line break,
		// which inside of them is escaped already.
		if r == '\n' || !hidden(r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// visible writes out what a terminal would obey instead of showing it: control
// characters, and marks that change the direction of what follows. Names come
// from wherever the operator's users come from.
func visible(s string) string {
	// In invalid UTF-8 even a byte that is part of no character may be one to obey.
	if utf8.ValidString(s) && !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if !hidden(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// hidden reports whether a character must not reach a terminal. The two joiners
// are no graphic characters but harmless, and names in Persian and Hindi need them.
func hidden(r rune) bool {
	return !unicode.IsGraphic(r) && r != '\u200c' && r != '\u200d'
}

// stamp is a time in a table, RFC 3339; never stands for nil.
func stamp(t *time.Time, never string) string {
	if t == nil {
		return never
	}
	return t.Format(time.RFC3339)
}

// instant is a time as it is listed, UTC and to the second; nil, null in JSON, if it is zero.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

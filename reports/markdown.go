package reports

import (
	"io"
	"strings"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// signFor is the verdict's shape where there is no drawing.
var signFor = map[string]string{
	"pass": "✅", "fail": "❌", "invalid": "⚠️", "unjudged": "⚠️", "skipped": "➖", "error": "⛔",
}

// Markdown writes a summary of one run for a pull request or a job's summary page.
func Markdown(h history.History, r verdict.Run) Reporter {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, markdownOf(record{h: h, r: r}))
		return err
	}
}

func markdownOf(rec record) string {
	v := string(verdictOf(rec.r))
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n\n") }
	line("## ", signFor[v], " ", strings.ToUpper(v), " ", escapeMarkdown(scenarioName(rec)))
	if rec.h.Plan.Why != "" {
		line("_", escapeMarkdown(rec.h.Plan.Why), "_")
	}
	line("**", escapeMarkdown(sentence(rec.r)), "**")
	for _, n := range notices(rec) {
		line("> ", signFor[n.Mark], " ", escapeMarkdown(n.Text))
	}
	b.WriteString(markdownTable(gaugesTable(rec)))
	b.WriteString(markdownTable(checksSection(rec).Tables[0]))
	if rec.r.MTTR != nil {
		line(escapeMarkdown(journeySentence(rec)))
		b.WriteString(markdownTable(journeyTable(rec)))
	}
	if d := rec.r.Diff; d != nil {
		line(escapeMarkdown(diffSentence(*d) + " " + shortDiffBooks(*d)))
		b.WriteString(markdownTable(shortDiffTable(*d)))
	}
	for _, f := range rec.r.Findings {
		b.WriteString("- " + escapeMarkdown(f) + "\n")
	}
	if len(rec.r.Findings) > 0 {
		b.WriteString("\n")
	}
	if replay := replayOf(rec); replay != "" {
		line("Replay: ", markdownCode(replay))
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func gaugesTable(rec record) table {
	t := table{Head: head("Figure", "Seen", "Limit")}
	for _, g := range gauges(rec) {
		t.Rows = append(t.Rows, []cell{text(g.Label), {Text: strings.TrimSpace(g.Value + " " + g.Reach), Mark: g.Mark}, text(g.Limit)})
	}
	return t
}

func markdownTable(t table) string {
	if len(t.Rows) == 0 {
		return ""
	}
	var b strings.Builder
	rule := "|"
	for _, h := range t.Head {
		b.WriteString("| " + h.Text + " ")
		if h.Number {
			rule += "---:|"
		} else {
			rule += "---|"
		}
	}
	b.WriteString("|\n" + rule + "\n")
	for _, row := range t.Rows {
		for _, c := range row {
			b.WriteString("| ")
			if c.Mark != "" {
				b.WriteString(signFor[c.Mark] + " ")
			}
			b.WriteString(escapeMarkdown(c.Text) + " ")
		}
		b.WriteString("|\n")
	}
	return b.String() + "\n"
}

// markdownSpecial is what could turn a record's words into markup. Angle brackets and
// ampersands become entities, since Markdown lets HTML through.
var markdownSpecial = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "", "\n", " ", "\\", "\\\\", "|", "\\|", "`", "\\`", "*", "\\*",
	"_", "\\_", "[", "\\[", "]", "\\]", "#", "\\#", "~", "\\~", "@", "&#64;", "!", "\\!", "://", ":&#47;/",
)

func escapeMarkdown(s string) string { return markdownSpecial.Replace(s) }

// markdownCode fences a command with more backticks than it holds in a row.
func markdownCode(s string) string {
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	return fence + " " + strings.ReplaceAll(strings.ReplaceAll(s, "\r", ""), "\n", " ") + " " + fence
}

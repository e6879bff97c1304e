// Command conformance is the driver of Go for the table of behaviours, see tests/conformance/README.md: it reads steps
// as lines of JSON, and writes what the client answers.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"log"
	"log/slog"
	"os"
	"time"
)

// step is a line of the input. Numbers in it stay as they are written.
type step struct {
	Do   string          `json:"do"`
	As   string          `json:"as"`
	Args json.RawMessage `json:"args"`
}

type answer map[string]any

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	d := &driver{}
	d.renew()
	output := json.NewEncoder(os.Stdout)
	output.SetEscapeHTML(false)
	input := bufio.NewReader(os.Stdin)
	for first := true; ; first = false {
		line, err := input.ReadBytes('\n')
		if err != nil {
			break
		}
		var told answer
		if first {
			d.connect(d.ctx, arguments(line))
			told = answer{"ok": map[string]string{"language": "go"}}
		} else {
			told = d.carryOut(line)
		}
		if err := output.Encode(told); err != nil {
			log.Fatal(err)
		}
	}
	d.reset(d.ctx, nil)
}

// carryOut answers one line.
func (d *driver) carryOut(line []byte) answer {
	var s step
	if err := json.Unmarshal(line, &s); err != nil {
		log.Fatal(err)
	}
	if s.Do == "join" {
		return d.join(arguments(s.Args))
	}
	verb, known := verbs[s.Do]
	if !known {
		return answer{"unsupported": "no verb " + s.Do}
	}
	if s.As == "" {
		return answerOf(verb(d, d.ctx, arguments(s.Args)))
	}
	ended := make(chan answer, 1)
	d.background[s.As] = ended
	ctx := d.ctx
	go func() { ended <- answerOf(verb(d, ctx, arguments(s.Args))) }()
	return answer{"ok": nil}
}

// join answers what a step in the background has.
func (d *driver) join(a args) answer {
	select {
	case told := <-d.background[a.text("of")]:
		return told
	case <-time.After(a.seconds("timeout", 20*time.Second)):
		return answer{"error": map[string]string{"unexpected": a.text("of") + " has not ended"}}
	}
}

func answerOf(value any, err error) answer {
	if err != nil {
		return answer{"error": errorOf(err)}
	}
	return answer{"ok": jsonOf(value)}
}

// verb is one thing that a driver does.
type verb func(d *driver, ctx context.Context, a args) (any, error)

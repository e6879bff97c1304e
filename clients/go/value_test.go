package taskwheel

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

func nested(levels int) any {
	var value any = map[string]any{}
	for range levels - 1 {
		value = map[string]any{"a": value}
	}
	return value
}

func TestAPayloadIsWhatJSONMakesOfIt(t *testing.T) {
	type inner struct {
		Count int64  `json:"count"`
		Skip  string `json:"-"`
	}
	source := struct {
		Text   string
		Inner  *inner
		Many   []inner
		Labels map[string]string
		None   *inner
	}{"ü", &inner{Count: 1 << 53}, []inner{{}, {Count: -1}}, map[string]string{"k": "v"}, nil}
	payload, err := Payload(source)
	check(t, err)
	plain := map[string]any{
		"Text": "ü", "Inner": map[string]any{"count": float64(1 << 53)}, "None": nil, "Labels": map[string]any{"k": "v"},
		"Many": []any{map[string]any{"count": 0.0}, map[string]any{"count": -1.0}},
	}
	if !reflect.DeepEqual(payload.AsMap(), plain) {
		t.Error(payload.AsMap())
	}
	back := source
	back.Inner, back.Many = nil, nil
	check(t, Decode(payload, &back))
	if !reflect.DeepEqual(back, source) {
		t.Error(back)
	}
}

func TestWhatCannotBeCarriedIsRefusedByItsPath(t *testing.T) {
	for _, c := range []struct {
		source     any
		path, flaw string
	}{
		{map[string]any{"items": []any{1, map[string]any{"n": int64(1<<53 + 1)}}}, "payload.items[1].n", "beyond 2^53"},
		{map[string]any{"n": uint64(math.MaxUint64)}, "payload.n", "beyond 2^53"},
		{map[string][]int64{"n": {1 << 60}}, "payload.n[0]", "beyond 2^53"},
		{map[string]any{"x": math.Inf(1)}, "payload.x", "not a JSON number"},
		{map[string]any{"x": "\xff"}, "payload.x", "not valid Unicode"},
		{map[string]any{"\xff": 1}, `payload."\xff"`, "not valid Unicode"},
		{map[string]any{"f": func() {}}, "payload.f", "func() is not JSON"},
		{[]any{1}, "payload", "must be an object"},
		{nested(33), "payload" + strings.Repeat(".a", 32), "deeper than 32"},
	} {
		_, err := Payload(c.source)
		var refused *UnsupportedValueError
		if !errors.As(err, &refused) || refused.Path != c.path || !strings.Contains(refused.Description, c.flaw) {
			t.Errorf("%v is not refused at %s for %s", err, c.path, c.flaw)
		}
	}
	if _, err := Payload(nested(32)); err != nil {
		t.Error(err)
	}
}

func TestTextIsCutBetweenItsLetters(t *testing.T) {
	for _, c := range []struct{ text, cut string }{{"abc", "abc"}, {"abcd", "abcd"}, {"abcü", "abc"}, {"a\xffb", "a\uFFFD"}} {
		if got := clip(c.text, 4); got != c.cut && !strings.HasPrefix(got, c.cut) || len(got) > 4 {
			t.Errorf("%q is cut to %q", c.text, got)
		}
	}
}

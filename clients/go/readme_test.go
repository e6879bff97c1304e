package taskwheel

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's programs are the examples, to the letter.
func TestTheProgramsOfTheReadmeAreTheExamples(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	check(t, err)
	examples, err := filepath.Glob("examples/*/main.go")
	check(t, err)
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(blocks) != len(examples) {
		t.Fatalf("%d programs in the README, %d examples", len(blocks), len(examples))
	}
	for _, example := range examples {
		program, err := os.ReadFile(example)
		check(t, err)
		if !strings.Contains(string(readme), "```go\n"+string(program)+"```") {
			t.Errorf("the README does not have %s as it is", example)
		}
	}
}

func TestTheExamplesRun(t *testing.T) {
	for example, said := range map[string]string{
		"hello": "Hello, Ann\n",
		"tour":  "SUCCEEDED at attempt 2 with map[pages:3]\n",
	} {
		command := exec.CommandContext(soon(t), "go", "run", "./examples/"+example)
		command.Env = append(os.Environ(), "TASKWHEEL_ADDRESS="+address)
		output, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(output), said) {
			t.Errorf("%s: %v\n%s", example, err, output)
		}
	}
}

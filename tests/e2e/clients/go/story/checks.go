package story

import (
	"fmt"
	"reflect"
	"time"
)

type wrong string
type unsupported string

func Fail(format string, arguments ...any) { panic(wrong(fmt.Sprintf(format, arguments...))) }

func Unsupported(why string) { panic(unsupported(why)) }

func Check(err error, what string) {
	if err != nil {
		Fail("%s: %v", what, err)
	}
}

func Equal(found, wanted any, what string) {
	if !reflect.DeepEqual(found, wanted) {
		Fail("%s: found %.300v, wanted %.300v", what, found, wanted)
	}
}

func WaitFor(done func() bool, what string) {
	end := time.Now().Add(Wait)
	for !done() {
		Equal(time.Now().Before(end), true, "in time: "+what)
		time.Sleep(50 * time.Millisecond)
	}
}

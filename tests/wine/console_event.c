/*
 * console_event MARKER PROGRAM [ARGUMENT]...
 *
 * Starts PROGRAM in the console of this process, waits until the file MARKER is there, sends Ctrl-C, and ends with
 * PROGRAM's exit code. Wine 8 sends no other console event.
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>

int main(int count, char **words)
{
    char line[8192] = "";
    STARTUPINFOA start = { .cb = sizeof start };
    PROCESS_INFORMATION process;
    DWORD code = 0, waited;
    int i;

    if (count < 3)
        return 2;
    for (i = 2; i < count; i++) {
        if (strlen(line) + strlen(words[i]) + 4 > sizeof line)
            return 2;
        strcat(strcat(strcat(line, i > 2 ? " \"" : "\""), words[i]), "\"");
    }
    if (!CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &process)) {
        fprintf(stderr, "%s does not start: error %lu\n", words[2], GetLastError());
        return 3;
    }
    for (waited = 0; GetFileAttributesA(words[1]) == INVALID_FILE_ATTRIBUTES; waited += 20) {
        if (waited > 60000 || WaitForSingleObject(process.hProcess, 20) != WAIT_TIMEOUT) {
            fprintf(stderr, "%s never appeared\n", words[1]);
            TerminateProcess(process.hProcess, 4);
            return 4;
        }
    }
    /* What is sent to the whole console must not end this process. */
    SetConsoleCtrlHandler(NULL, TRUE);
    if (!GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0)) {
        fprintf(stderr, "the event is not sent: error %lu\n", GetLastError());
        return 5;
    }
    if (WaitForSingleObject(process.hProcess, 60000) != WAIT_OBJECT_0)
        return 6;
    GetExitCodeProcess(process.hProcess, &code);
    return (int)code;
}

/*
 * hold_open PATH SHARE RELEASE
 *
 * Opens PATH for reading as another program does, prints "held", and keeps it open until the file RELEASE is there.
 * SHARE is "r" (others may read it, as with a spreadsheet) or "all" (a backup, a virus scanner).
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>

int main(int count, char **words)
{
    DWORD share = FILE_SHARE_READ, waited;
    HANDLE file;

    if (count != 4)
        return 2;
    if (strcmp(words[2], "all") == 0)
        share |= FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    file = CreateFileA(words[1], GENERIC_READ, share, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        fprintf(stderr, "%s cannot be opened: error %lu\n", words[1], GetLastError());
        return 1;
    }
    puts("held");
    fflush(stdout);
    for (waited = 0; waited < 120000 && GetFileAttributesA(words[3]) == INVALID_FILE_ATTRIBUTES; waited += 50)
        Sleep(50);
    CloseHandle(file);
    return 0;
}

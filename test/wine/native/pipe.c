/* Stands for a host: sends each argument after the pipe's name as a line, and prints the line that comes back. */
#include <windows.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **arguments)
{
    HANDLE pipe = CreateFileA(arguments[1], GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (pipe == INVALID_HANDLE_VALUE)
        return 2;
    for (int index = 2; index < count; index++) {
        DWORD moved;
        char byte;
        WriteFile(pipe, arguments[index], strlen(arguments[index]), &moved, NULL);
        do {
            if (!ReadFile(pipe, &byte, 1, &moved, NULL) || moved == 0)
                return 3;
            putchar(byte);
        } while (byte != '\n');
    }
    return 0;
}

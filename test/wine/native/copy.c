/* Copies its input to its output, byte by byte. */
#include <fcntl.h>
#include <io.h>
#include <stdio.h>

int main(void)
{
    int byte;
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
    while ((byte = getchar()) != EOF)
        putchar(byte);
    return 0;
}

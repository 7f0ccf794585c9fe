/* Prints its arguments, one a line, in UTF-16. */
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <wchar.h>

int wmain(int count, wchar_t **arguments)
{
    _setmode(1, _O_BINARY);
    for (int index = 0; index < count; index++) {
        fwrite(arguments[index], sizeof(wchar_t), wcslen(arguments[index]), stdout);
        fwrite(L"\n", sizeof(wchar_t), 1, stdout);
    }
    return 0;
}

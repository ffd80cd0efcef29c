# Страницы кассира.
place-till = Касса
place-till-payments = Платежи
place-till-drawer = Мой ящик
place-till-requests = Запросы
place-till-notices = Неопознанные платежи
place-till-days = Дни и закрытие
cashier-nothing-title = Пока пусто
cashier-nothing-text = Как только здесь что-то появится, оно будет показано.
